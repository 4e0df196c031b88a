// What would make a scenario cheaper: every lever of a visible table (advise_levers) tried on it by simulating the whole
// run again, and those that help together simulated as one. Nothing is looked up: a row's figures are those of `run`
// with the row's `set`.
//   rows      the best proposal of each lever; of one that helps only on top of others (`stands_on`), what it saves beyond
//             them, with theirs in its `set` too
//   second    the best of another kind that the same lever has, where that is worth telling
//   tried     every proposal of the lever, with its figures and why it is not the row; `trials` is what they were taken
//             from. Of levers that change the step alone all are timed and the two fastest run; of recomputation also what
//             a layer keeps
//   severity  by the share of dollars (GPU-hours without a price, CO2e where dollars stay) that it saves:
//             critical: what does not fit, or never ends, does then; high 20 %, medium 5 %, low 0.5 %
//   combined  levers that neither change the training's recipe nor need another machine or contract, in the order of
//             what they save alone, each kept when the run is cheaper with it; it fits when anything tried on the way
//             fits. Savings do not add. `combined_all` goes on from there with all levers
//   worth     of each lever of a combination: what the combination would lose without it
#pragma once

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/experiment.hpp"
#include "scenarios/scenario_source.hpp"

namespace runcast {

// How the layout lever looks for layouts: neighbours of today's alone, or a search (advise_search.hpp).
enum class AdviceSearch { none, quick, full };
inline constexpr std::array<std::string_view, 3> kAdviceSearches{"none", "quick", "full"};

inline constexpr std::array<std::string_view, 4> kSeverities{"low", "medium", "high", "critical"};

// ---- the table --------------------------------------------------------------------------------------------

struct Proposal {
  std::string finding, today, proposed;
  std::vector<std::string> set;
};

enum class Reach { same_run, recipe, contract, machine };  // what a lever asks for; only same_run is combined
inline constexpr std::array<std::string_view, 4> kReachNames{"same_run", "recipe", "contract", "machine"};

struct Lever {
  std::string_view name, key;  // key: of the scenario, where the finding is located
  std::string_view sentence;
  Reach reach;
  bool step_only;  // its proposals differ in the step alone: the best of them is found by the step
  std::vector<Proposal> (*propose)(const Scenario&, const Library&);
};
std::vector<Lever> levers();

nlohmann::ordered_json advise_document(const ScenarioSource&, const Library&, const ExperimentOptions&,
                                       AdviceSearch = AdviceSearch::quick, std::vector<Lever> = levers());

}  // namespace runcast
