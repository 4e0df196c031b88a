// Proposals simulated, ranked and combined; see the header.
#include "scenarios/advise.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "parallelism/kept_activations.hpp"
#include "scenarios/advise_search.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;
using Sets = std::vector<std::string>;

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kWorthTelling = 0.005, kMedium = 0.05, kHigh = 0.2;  // of the dollars
constexpr std::int64_t kScreening =
    5;  // trials that tell the proposals of a lever apart: the failures are the same
constexpr int kMostSearches = 3;  // alone, with others, and once more; then neighbours
constexpr double kWorthKeeping = 0.0005;  // in the combination

// What is compared of two runs.
struct Figures {
  Json json;
  bool fits = true;
  double cost = kNever;  // all dollars, or all GPU-hours without a price; infinite when the run does not end
  double co2e = 0;
  bool ends() const { return std::isfinite(cost); }
};

double number_at(const Json& document, const char* pointer) {
  const Json::json_pointer at(pointer);
  if (!document.contains(at) || !document.at(at).is_number()) return kNever;
  return document.at(at).get<double>();
}

Figures figures_of(const Json& run) {
  Figures f;
  const auto value = [&](const char* pointer) {
    const double v = number_at(run, pointer);
    return std::isfinite(v) ? Json(v) : Json(nullptr);
  };
  f.fits = run.at("step").at("memory").at("fits").get<bool>();
  f.json = {{"step_s", value("/step/time_s")},
            {"mfu", value("/step/mfu")},
            {"peak_gib", value("/step/memory/peak_gib")},
            {"fits", f.fits},
            {"goodput", value("/run/goodput/mean")},
            {"days", value("/run/days/mean")},
            {"usd", value("/cost/usd")},
            {"total_usd", value("/cost/total_usd")},
            {"gpu_hours", value("/cost/gpu_hours")},
            {"energy_mwh", value("/cost/energy_mwh")},
            {"co2e_t", value("/cost/co2e_t")}};
  const double usd = number_at(run, "/cost/total_usd");
  f.cost =
      std::isfinite(usd) ? usd : number_at(run, "/cost/gpu_hours") + number_at(run, "/cost/spare_gpu_hours");
  if (!std::isfinite(number_at(run, "/run/days/mean"))) f.cost = kNever;
  f.co2e = number_at(run, "/cost/co2e_t");
  return f;
}

// Fits first, then what it costs, then what it emits.
bool better(const Figures& a, const Figures& b, double share) {
  if (a.fits != b.fits) return a.fits;
  if (a.cost < b.cost * (1 - share) || (a.ends() && !b.ends())) return true;
  return a.cost <= b.cost * (1 + 1e-9) && a.co2e < b.co2e * (1 - share);
}

double saved_share(double before, double after) {
  if (!std::isfinite(before) || before <= 0) return 0;
  return 1 - after / before;
}

std::string_view severity_of(const Figures& before, const Figures& after) {
  if (after.fits != before.fits || after.ends() != before.ends()) return kSeverities[3];
  const double dollars = saved_share(before.cost, after.cost);
  // Emissions alone count a quarter: nobody's bill falls.
  const double share = std::max(dollars, saved_share(before.co2e, after.co2e) / 4);
  return kSeverities[share >= kHigh ? 2 : share >= kMedium ? 1 : 0];
}

std::string location_of(const ScenarioSource& source, std::string_view key) {
  Document document = source.open();
  Section at = document.root();
  Location place = at.location();
  for (std::size_t begin = 0; begin <= key.size();) {
    const std::size_t end = std::min(key.find('.', begin), key.size());
    const std::string part(key.substr(begin, end - begin));
    if (!at.has(part)) break;
    place = at.location(part);
    if (at.kind(part) != NodeKind::map) break;
    at = at.section(part);
    begin = end + 1;
  }
  return place.line > 0 ? fmt::format("{}:{}", place.file, place.line) : place.file;
}

Sets joined(const Sets& a, const Sets& b) {
  Sets all = a;
  all.insert(all.end(), b.begin(), b.end());
  return all;
}

Json tried_json(const std::string& name, const StepResult& step, const MemoryReport& memory) {
  return {{"proposed", name},
          {"step_s", to_seconds(step.time).value},
          {"mfu", step.mfu},
          {"peak_gib", in_gib(memory.peak)},
          {"fits", memory.fits}};
}

// What each granularity of recomputation keeps of a layer and micro-batch, and the time that computing the rest again
// takes: compute of the step beyond that of the fastest, over the layers and micro-batches of a rank.
class RecomputeCosts {
 public:
  void add(const Scenario& s, const StepResult& step) {
    const double slots =
        static_cast<double>(s.model.layers) / s.layout.pipeline * static_cast<double>(s.microbatches);
    kept_.push_back(layer_activation_bytes(s.model, s.layout, s.training, s.model.is_moe()).value);
    compute_.push_back(to_seconds(step.breakdown.compute).value / slots);
  }
  void write(Json& tried) const {
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      tried[i]["layer_bytes"] = kept_[i];
      tried[i]["layer_again_s"] = compute_[i] - std::ranges::min(compute_);
    }
  }

 private:
  std::vector<double> kept_, compute_;
};

class Advisor {
 public:
  Advisor(const ScenarioSource& source, const Library& library, const ExperimentOptions& options,
          AdviceSearch search)
      : source_(source), library_(library), options_(options), search_(search) {
    // The progress of single runs would drown that of the levers.
    options_.progress = nullptr;
  }

  Json document() {
    const Json run = run_of({});
    base_ = figures_of(run);
    const std::vector<Lever> table = levers();
    total_ = static_cast<std::int64_t>(table.size()) * 2;
    for (const Lever& lever : table) try_alone(lever);
    combine();
    Json json = {{"schema_version", 1}, {"scenario", run.at("scenario")}, {"base", base_.json}};
    json["rows"] = rows_json();
    json["combined"] = combined_json();
    json["not_better"] = rest_;
    json["provenance"] = run.at("provenance");
    return json;
  }

  ExperimentOptions outer;

 private:
  struct Found {
    Lever lever;
    Proposal proposal;
    Sets before;  // of other levers, without which it does not help
    Figures figures;
    Figures beside;  // with `before` alone
    Json tried = Json::array();
    bool screened_out = false;
  };

  Json run_of(const Sets& set, std::optional<std::int64_t> at_most = std::nullopt) {
    ExperimentOptions options = options_;
    if (at_most) options.trials = std::min(*at_most, options_.trials.value_or(*at_most));
    if (at_most) options.automatic_trials = false;
    return run_document(source_.open(set), library_, options);
  }

  Scenario scenario_with(const Sets& set) {
    Document document = source_.open(set);
    return read_scenario(document, library_);
  }

  // The fastest step that fits, or comes nearest to fitting; what was timed goes into `tried`.
  std::vector<Proposal> by_step(const Lever& lever, const std::vector<Proposal>& proposals, const Sets& with,
                                Json& tried) {
    struct Timed {
      const Proposal* proposal;
      double over, time;
    };
    std::vector<Timed> timed;
    RecomputeCosts costs;
    if (lever.name == "recompute" && !proposals.empty()) {
      const Scenario today = scenario_with(with);
      const StepResult step = step_of(today, options_.seed, false);
      tried.push_back(tried_json(proposals.front().today, step, memory_of(today)));
      costs.add(today, step);
    }
    for (const Proposal& p : proposals) {
      try {
        const Scenario s = scenario_with(joined(with, p.set));
        const MemoryReport memory = memory_of(s);
        const StepResult step = step_of(s, options_.seed, false);
        timed.push_back({&p, memory.fits ? 0 : memory.peak.value, to_seconds(step.time).value});
        tried.push_back(tried_json(p.proposed, step, memory));
        costs.add(s, step);
      } catch (const ConfigError&) {  // not a legal scenario: no proposal
      }
    }
    if (lever.name == "recompute") costs.write(tried);
    std::ranges::stable_sort(timed, [](const Timed& a, const Timed& b) {
      return a.over != b.over ? a.over < b.over : a.time < b.time;
    });
    std::vector<Proposal> sorted;
    if (!timed.empty()) sorted.push_back(*timed.front().proposal);
    return sorted;
  }

  std::vector<Proposal> proposals_of(const Lever& lever, const Sets& with) {
    const Scenario s = scenario_with(with);
    if (lever.name == "layout" && search_ != AdviceSearch::none && searches_ < kMostSearches) {
      ++searches_;
      ScenarioSource source = source_;
      source.sets.insert(source.sets.end(), with.begin(), with.end());
      try {
        if (s.faults.empty()) return searched_layouts(source, s, library_, search_, options_);
      } catch (const ConfigError&) {  // nothing that a search can take: neighbours then
      }
    }
    return lever.propose(s, library_);
  }

  // The best proposal of a lever on top of `with`, whether it helps or not.
  std::optional<Found> best_of(const Lever& lever, const Sets& with, const Figures& beside) {
    std::vector<Proposal> proposals = proposals_of(lever, with);
    Json tried = Json::array();
    if (lever.step_only && proposals.size() > 1) proposals = by_step(lever, proposals, with, tried);
    const Proposal* first = nullptr;
    std::optional<Figures> seen;
    for (const Proposal& p : proposals) {
      try {
        const Figures figures = figures_of(run_of(joined(with, p.set), kScreening));
        if (!seen || better(figures, *seen, 0)) {
          first = &p;
          seen = figures;
        }
      } catch (const ConfigError&) {
      }
    }
    std::optional<Found> best;
    if (first != nullptr) {
      best = Found{lever, *first, with, *seen, beside, std::move(tried)};
      // Only what may help is worth all trials.
      if (better(*seen, figures_of(run_of(with, kScreening)), 0))
        best->figures = figures_of(run_of(joined(with, first->set)));
      else
        best->screened_out = true;
    }
    ++done_;
    if (outer.progress) outer.progress(std::min(done_, total_), total_);
    return best;
  }

  void try_alone(const Lever& lever) {
    const auto found = best_of(lever, {}, base_);
    if (!found) return;
    if (!found->screened_out && better(found->figures, base_, kWorthTelling))
      found_.push_back(*found);
    else
      rest_.push_back({{"lever", lever.name}, {"set", found->proposal.set}, {"tried", found->tried}});
    if (lever.reach == Reach::same_run) candidates_.push_back(*found);
  }

  // What saves most alone goes first; what did not help alone is tried again after each that did.
  void combine() {
    std::ranges::stable_sort(candidates_,
                             [](const Found& a, const Found& b) { return better(a.figures, b.figures, 0); });
    combined_ = base_;
    std::vector<Lever> waiting;
    for (const Found& candidate : candidates_) waiting.push_back(candidate.lever);
    for (const Lever& lever : levers())  // those that had nothing to propose may have now
      if (lever.reach == Reach::same_run &&
          std::ranges::none_of(waiting, [&](const Lever& w) { return w.name == lever.name; }))
        waiting.push_back(lever);
    for (int round = 0; round < 2; ++round) {
      const std::size_t before = chosen_.size();
      std::vector<Lever> left;
      for (const Lever& lever : waiting)
        if (!take(lever)) left.push_back(lever);
      waiting = left;
      if (chosen_.size() == before) break;
    }
    refine();
  }

  bool take(const Lever& lever) {
    const auto found = best_of(lever, set_, combined_);
    if (!found || found->screened_out || !better(found->figures, combined_, kWorthKeeping)) return false;
    const bool alone =
        std::ranges::any_of(found_, [&](const Found& f) { return f.lever.name == lever.name; });
    if (!alone && better(found->figures, combined_, kWorthTelling)) found_.push_back(*found);
    set_ = joined(set_, found->proposal.set);
    combined_ = found->figures;
    chosen_.push_back({std::string(lever.name), found->proposal.set});
    return true;
  }

  // The loader that was enough for a slow step may starve a fast one: levers once more, each without its own choice.
  void refine() {
    const std::vector<Lever> table = levers();
    const std::vector<Chosen> first = chosen_;
    for (const Chosen& one : first) {
      const Sets others = without(one.lever);
      const auto lever = std::ranges::find(table, one.lever, &Lever::name);
      const auto found = best_of(*lever, others, combined_);
      if (!found || found->screened_out || !better(found->figures, combined_, kWorthKeeping)) continue;
      std::erase_if(chosen_, [&](const Chosen& c) { return c.lever == one.lever; });
      chosen_.push_back({one.lever, found->proposal.set});
      set_ = joined(others, found->proposal.set);
      combined_ = found->figures;
    }
  }

  Sets without(std::string_view lever) const {
    Sets others;
    for (const Chosen& c : chosen_)
      if (c.lever != lever) others = joined(others, c.set);
    return others;
  }

  Json savings(const Figures& before, const Figures& after) const {
    const auto less = [&](const char* key) {
      const Json &a = before.json.at(key), &b = after.json.at(key);
      return a.is_number() && b.is_number() ? Json(a.get<double>() - b.get<double>()) : Json(nullptr);
    };
    return {{"days_saved", less("days")}, {"usd_saved", less("total_usd")}, {"co2e_t_saved", less("co2e_t")}};
  }

  Json rows_json() {
    std::ranges::stable_sort(found_,
                             [](const Found& a, const Found& b) { return better(a.figures, b.figures, 0); });
    Json rows = Json::array();
    for (const Found& f : found_) {
      Json row = {{"lever", f.lever.name},
                  {"severity", severity_of(f.before.empty() ? base_ : f.beside, f.figures)},
                  {"where", location_of(source_, f.lever.key)},
                  {"key", f.lever.key},
                  {"finding", f.proposal.finding},
                  {"today", f.proposal.today},
                  {"proposed", f.proposal.proposed},
                  {"before", base_.json},
                  {"after", f.figures.json}};
      row.update(savings(base_, f.figures));
      row["set"] = joined(f.before, f.proposal.set);
      if (!f.before.empty()) row["beyond_others"] = savings(f.beside, f.figures);
      row["asks_for"] = kReachNames[static_cast<std::size_t>(f.lever.reach)];
      if (f.tried.size() > 1) row["tried"] = f.tried;
      row["combined"] =
          std::ranges::any_of(chosen_, [&](const Chosen& c) { return c.lever == f.lever.name; });
      rows.push_back(std::move(row));
    }
    return rows;
  }

  Json combined_json() {
    Json names = Json::array(), worth = Json::array();
    for (const Chosen& c : chosen_) names.push_back(c.lever);
    for (const Chosen& c : chosen_) {
      if (chosen_.size() < 2) break;
      try {
        Json one = {{"lever", c.lever}, {"set", c.set}};
        const Figures left = figures_of(run_of(without(c.lever)));
        one.update(savings(left, combined_));
        one["fits_without"] = left.fits;
        worth.push_back(std::move(one));
      } catch (const ConfigError&) {  // the others need it
        worth.push_back({{"lever", c.lever}, {"set", c.set}});
      }
    }
    Json json = {{"levers", std::move(names)}, {"before", base_.json}, {"after", combined_.json}};
    json.update(savings(base_, combined_));
    json["set"] = set_;
    json["worth"] = std::move(worth);
    return json;
  }

  struct Chosen {
    std::string lever;
    Sets set;
  };

  const ScenarioSource& source_;
  const Library& library_;
  ExperimentOptions options_;
  AdviceSearch search_;
  Figures base_, combined_;
  std::vector<Found> found_, candidates_;
  std::vector<Chosen> chosen_;
  Sets set_;
  Json rest_ = Json::array();
  std::int64_t done_ = 0, total_ = 1;
  int searches_ = 0;
};

}  // namespace

nlohmann::ordered_json advise_document(const ScenarioSource& source, const Library& library,
                                       const ExperimentOptions& options, AdviceSearch search) {
  Advisor advisor(source, library, options, search);
  advisor.outer.progress = options.progress;
  return advisor.document();
}

}  // namespace runcast
