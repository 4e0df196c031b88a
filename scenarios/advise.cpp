// Proposals simulated, ranked and combined; see the header.
#include "scenarios/advise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "parallelism/kept_activations.hpp"
#include "scenarios/advise_figures.hpp"
#include "scenarios/advise_search.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;
using Sets = std::vector<std::string>;

constexpr double kWorthTelling = 0.005;   // of the dollars
constexpr double kWorthKeeping = 0.0005;  // in the combination
constexpr std::int64_t kScreening =
    5;  // trials that tell the proposals of a lever apart: the failures are the same
constexpr double kMostEvents = 1e6;  // in all trials together, of what is only told beside the best
constexpr double kLongEvents = 1e5;  // in the screening, of what lost alone: not simulated again with others
constexpr int kMostSearches = 3;     // alone, with others, and once more; then neighbours

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

std::string_view key_of(std::string_view assignment) { return assignment.substr(0, assignment.find('=')); }

// Of two assignments to one key the later holds, and the earlier is left out.
Sets joined(Sets all, const Sets& later) {
  for (const std::string& set : later)
    std::erase_if(all, [&](const std::string& earlier) { return key_of(earlier) == key_of(set); });
  all.insert(all.end(), later.begin(), later.end());
  return all;
}

// One step of a proposal whose lever changes nothing else.
struct Timed {
  double step_s = 0, mfu = 0, peak_gib = 0, capacity_gib = 0;
  bool fits = true;
  double layer_bytes = 0, layer_compute_s = 0;  // kept, and computed, of a layer and micro-batch
};

struct Tried {
  Proposal proposal;
  bool today = false;  // only told beside the others
  std::optional<Timed> timed;
  std::optional<Figures> figures;
  std::string refused;  // why it is no scenario
};

// "spot, elastic" and "spot, hot_spare" are one kind of answer, "reserved" another.
std::string_view kind_of(const Proposal& p) {
  return std::string_view(p.proposed).substr(0, p.proposed.find(','));
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

struct Found {
  Lever lever;
  Proposal proposal;
  Sets before;  // of other levers, without which it does not help
  std::vector<std::string> levers_before;
  Figures figures;
  Figures beside;  // with `before` alone
  std::vector<Tried> tried;
  std::size_t taken = 0;              // of them
  std::optional<std::size_t> second;  // the best of another kind, when it is worth telling too
  bool screened_out = false;
};

std::string why_not(const Tried& tried, const Found& found) {
  if (!tried.refused.empty()) return tried.refused;
  if (tried.today) return "today's";
  if (tried.figures) return why_not(*tried.figures, found.figures, found.beside);
  if (!tried.timed) return "not simulated";
  const Timed& t = *tried.timed;
  if (!t.fits) return does_not_fit(t.peak_gib, t.capacity_gib);
  if (t.step_s > found.beside.step_s)
    return fmt::format("its step takes {:.4g} s, today's {:.4g} s", t.step_s, found.beside.step_s);
  return fmt::format("its step takes {:.4g} s, that of what is proposed {:.4g} s", t.step_s,
                     found.figures.step_s);
}

// What each granularity of recomputation keeps of a layer and micro-batch, and the time that computing the rest again
// takes: compute of the step beyond that of the fastest, over the layers and micro-batches of a rank.
double fastest_layer(const std::vector<Tried>& all) {
  double fastest = Figures::kUnknown;
  for (const Tried& one : all)
    if (one.timed) fastest = std::min(fastest, one.timed->layer_compute_s);
  return fastest;
}

Json tried_json(const Found& found) {
  const double fastest = fastest_layer(found.tried);
  Json all = Json::array();
  for (std::size_t i = 0; i < found.tried.size(); ++i) {
    const Tried& one = found.tried[i];
    Json json = {{"proposed", one.proposal.proposed}, {"set", one.proposal.set}};
    if (one.figures) {
      json.update(json_of(*one.figures));
      json["trials"] = one.figures->trials;
    } else if (one.timed) {
      json.update({{"step_s", one.timed->step_s},
                   {"mfu", one.timed->mfu},
                   {"peak_gib", one.timed->peak_gib},
                   {"fits", one.timed->fits}});
    }
    for (const char* key : {"days", "usd", "total_usd", "co2e_t"})
      if (!json.contains(key)) json[key] = nullptr;
    if (one.timed && found.lever.name == "recompute") {
      json["layer_bytes"] = one.timed->layer_bytes;
      json["layer_again_s"] = one.timed->layer_compute_s - fastest;
    }
    json["taken"] = !found.screened_out && i == found.taken;
    json["why_not"] = json["taken"] == true ? Json(nullptr) : Json(why_not(one, found));
    all.push_back(std::move(json));
  }
  return all;
}

struct Chosen {
  std::string lever;
  Sets set;
};

// Levers pulled together; a later one's assignments hold.
struct Combination {
  Figures figures;
  std::vector<Chosen> chosen;
  Sets set() const { return without({}); }
  Sets without(std::string_view lever) const {
    Sets others;
    for (const Chosen& c : chosen)
      if (c.lever != lever) others = joined(others, c.set);
    return others;
  }
  bool has(std::string_view lever) const {
    return std::ranges::any_of(chosen, [&](const Chosen& c) { return c.lever == lever; });
  }
};

class Advisor {
 public:
  Advisor(const ScenarioSource& source, const Library& library, const ExperimentOptions& options,
          AdviceSearch search, std::vector<Lever> table)
      : source_(source), library_(library), options_(options), search_(search), table_(std::move(table)) {
    // The progress of single runs would drown that of the levers.
    options_.progress = nullptr;
  }

  Json document() {
    const Json run = run_document(source_.open(), library_, options_);
    base_ = figures_of(run);
    total_ = static_cast<std::int64_t>(table_.size()) * 3;
    for (const Lever& lever : table_) try_alone(lever);
    combine();
    Json json = {{"schema_version", 1}, {"scenario", run.at("scenario")}, {"base", json_of(base_)}};
    json["rows"] = rows_json();
    json["combined"] = combination_json(together_);
    if (everything_.chosen.size() > together_.chosen.size())
      json["combined_all"] = combination_json(everything_);
    json["not_better"] = rest_;
    json["provenance"] = run.at("provenance");
    return json;
  }

  ExperimentOptions outer;

 private:
  // Of the whole run, or of so many of its trials.
  Figures figures_with(const Sets& set, std::optional<std::int64_t> at_most = std::nullopt) {
    const auto key = std::pair{set, at_most.value_or(0)};
    if (const auto known = known_.find(key); known != known_.end()) return known->second;
    ExperimentOptions options = options_;
    if (at_most) options.trials = std::min(*at_most, options_.trials.value_or(*at_most));
    if (at_most) options.automatic_trials = false;
    const Figures figures = figures_of(run_document(source_.open(set), library_, options));
    known_.emplace(key, figures);
    return figures;
  }

  Scenario scenario_with(const Sets& set) {
    Document document = source_.open(set);
    return read_scenario(document, library_);
  }

  Timed timed_with(const Sets& set) {
    const Scenario s = scenario_with(set);
    const MemoryReport memory = memory_of(s);
    const StepResult step = step_of(s, options_.seed, false);
    const double slots =
        static_cast<double>(s.model.layers) / s.layout.pipeline * static_cast<double>(s.microbatches);
    return {to_seconds(step.time).value,
            step.mfu,
            in_gib(memory.peak),
            in_gib(memory.capacity),
            memory.fits,
            layer_activation_bytes(s.model, s.layout, s.training, s.model.is_moe()).value,
            to_seconds(step.breakdown.compute).value / slots};
  }

  std::vector<Tried> proposals_of(const Lever& lever, const Sets& with) {
    const Scenario s = scenario_with(with);
    std::vector<Proposal> proposals;
    bool searched = false;
    if (lever.name == "layout" && search_ != AdviceSearch::none && searches_ < kMostSearches) {
      ++searches_;
      ScenarioSource source = source_;
      source.sets.insert(source.sets.end(), with.begin(), with.end());
      try {
        searched = s.faults.empty();
        if (searched) proposals = searched_layouts(source, s, library_, search_, options_);
      } catch (const ConfigError&) {  // nothing that a search can take: neighbours then
        searched = false;
      }
    }
    if (!searched) proposals = lever.propose(s, library_);
    std::vector<Tried> all;
    if (lever.name == "recompute" && !proposals.empty()) {
      Proposal today = proposals.front();
      today.proposed = today.today;
      today.set.clear();
      all.push_back({today, true, {}, {}, {}});
    }
    for (Proposal& p : proposals) all.push_back({std::move(p), false, {}, {}, {}});
    return all;
  }

  // Those that are worth a whole run, by their place: all; or, where the step alone differs, the two fastest that fit
  // (that come nearest to fitting, where none does).
  std::vector<std::size_t> to_run(const Lever& lever, std::vector<Tried>& all, const Sets& with, bool tell) {
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (!all[i].today) places.push_back(i);
    if (!lever.step_only || places.size() < 2) return places;
    for (Tried& one : all) try {
        one.timed = timed_with(joined(with, one.proposal.set));
      } catch (const ConfigError& error) {
        one.refused = first_line(error.what());
      }
    std::erase_if(places, [&](std::size_t i) { return !all[i].timed; });
    const auto over = [&](std::size_t i) { return all[i].timed->fits ? 0 : all[i].timed->peak_gib; };
    std::ranges::stable_sort(places, [&](std::size_t a, std::size_t b) {
      return over(a) != over(b) ? over(a) < over(b) : all[a].timed->step_s < all[b].timed->step_s;
    });
    places.resize(std::min<std::size_t>(places.size(), tell ? 2 : 1));
    return places;
  }

  // The best proposal of a lever on top of `with`, whether it helps or not; `tell`: and the second best.
  std::optional<Found> best_of(const Lever& lever, const Sets& with, const Figures& beside,
                               bool tell = false) {
    ++done_;
    if (outer.progress) outer.progress(std::min(done_, total_), total_);
    try {
      return simulated(lever, with, beside, tell);
    } catch (const ConfigError&) {  // the other levers' assignments need those that this one replaces
      return std::nullopt;
    }
  }

  std::optional<Found> simulated(const Lever& lever, const Sets& with, const Figures& beside, bool tell) {
    Found found{lever, {}, with, {}, {}, beside, proposals_of(lever, with), 0, {}, false};
    std::vector<Tried>& tried = found.tried;
    std::vector<std::size_t> places = to_run(lever, tried, with, tell);
    std::erase_if(places, [&](std::size_t i) { return too_long_.contains(tried[i].proposal.set); });
    for (const std::size_t i : places) try {
        tried[i].figures = figures_with(joined(with, tried[i].proposal.set), kScreening);
      } catch (const ConfigError& error) {
        tried[i].refused = first_line(error.what());
      }
    std::erase_if(places, [&](std::size_t i) { return !tried[i].figures; });
    if (places.empty()) return std::nullopt;
    const auto best_first = [&](std::size_t a, std::size_t b) {
      return better(*tried[a].figures, *tried[b].figures, 0);
    };
    std::ranges::stable_sort(places, best_first);
    // Only what may help is worth all trials.
    const Figures today = figures_with(with, kScreening);
    found.screened_out = !better(*tried[places.front()].figures, today, 0);
    found.taken = places.front();
    if (!found.screened_out) run_best(found, places, tell, today);
    found.proposal = tried[found.taken].proposal;
    found.figures = *tried[found.taken].figures;
    return found;
  }

  // All trials for the first of `places`, and for the first of another kind where it is told and is no long simulation:
  // nodes that are taken back every few minutes are.
  void run_best(Found& found, const std::vector<std::size_t>& places, bool tell, const Figures& today) {
    std::vector<Tried>& tried = found.tried;
    const auto run_all = [&](std::size_t i) {
      tried[i].figures = figures_with(joined(found.before, tried[i].proposal.set));
    };
    run_all(found.taken);
    std::optional<std::size_t> other = of_another_kind(tried, places);
    if (!tell || !other || !better(*tried[*other].figures, today, kWorthTelling)) return;
    if (const double trials = static_cast<double>(tried[found.taken].figures->trials);
        tried[*other].figures->interruptions * trials < kMostEvents) {
      run_all(*other);
      if (better(*tried[*other].figures, *tried[found.taken].figures, 0)) std::swap(*other, found.taken);
    }
    if (better(*tried[*other].figures, found.beside, kWorthTelling)) found.second = *other;
  }

  static std::optional<std::size_t> of_another_kind(const std::vector<Tried>& tried,
                                                    const std::vector<std::size_t>& places) {
    const auto other = std::ranges::find_if(places, [&](std::size_t i) {
      return kind_of(tried[i].proposal) != kind_of(tried[places.front()].proposal);
    });
    return other == places.end() ? std::nullopt : std::optional(*other);
  }

  void try_alone(const Lever& lever) {
    const auto found = best_of(lever, {}, base_, true);
    if (!found) return;
    for (std::size_t i = 0; i < found->tried.size(); ++i)
      if (const Tried& one = found->tried[i];
          i != found->taken && one.figures && one.figures->interruptions * kScreening > kLongEvents)
        too_long_.insert(one.proposal.set);
    if (!found->screened_out && better(found->figures, base_, kWorthTelling))
      found_.push_back(*found);
    else
      rest_.push_back({{"lever", lever.name}, {"set", found->proposal.set}, {"tried", tried_json(*found)}});
    alone_.push_back(*found);
  }

  // What saves most alone goes first, then those that had nothing to propose, and may have now.
  std::vector<Lever> in_order(bool same_run) const {
    std::vector<Found> some;
    std::ranges::copy_if(alone_, std::back_inserter(some),
                         [&](const Found& f) { return (f.lever.reach == Reach::same_run) == same_run; });
    std::ranges::stable_sort(some,
                             [](const Found& a, const Found& b) { return better(a.figures, b.figures, 0); });
    std::vector<Lever> order;
    for (const Found& f : some) order.push_back(f.lever);
    for (const Lever& lever : table_)
      if ((lever.reach == Reach::same_run) == same_run &&
          std::ranges::find(order, lever.name, &Lever::name) == order.end())
        order.push_back(lever);
    return order;
  }

  // First what the same run can do, then everything on top of it.
  void combine() {
    together_.figures = base_;
    grow(together_, in_order(true));
    everything_ = together_;
    grow(everything_, in_order(false));
  }

  // What did not help is tried again after each that did.
  void grow(Combination& all, std::vector<Lever> waiting) {
    const std::size_t at_first = all.chosen.size();
    for (int round = 0; round < 2; ++round) {
      const std::size_t before = all.chosen.size();
      std::erase_if(waiting, [&](const Lever& lever) { return take(all, lever); });
      if (all.chosen.size() == before) break;
    }
    if (all.chosen.size() > at_first) refine(all);
  }

  bool take(Combination& all, const Lever& lever) {
    auto found = best_of(lever, all.set(), all.figures);
    if (!found || found->screened_out || !better(found->figures, all.figures, kWorthKeeping)) return false;
    const bool told = std::ranges::any_of(found_, [&](const Found& f) { return f.lever.name == lever.name; });
    for (const Chosen& c : all.chosen) found->levers_before.push_back(c.lever);
    // What helps only on top of another recipe or other machines is told by `worth` there.
    if (&all == &together_ && !told && better(found->figures, all.figures, kWorthTelling))
      found_.push_back(*found);
    all.chosen.push_back({std::string(lever.name), found->proposal.set});
    all.figures = found->figures;
    return true;
  }

  // The loader that was enough for a slow step may starve a fast one: levers once more, each without its own choice.
  void refine(Combination& all) {
    const std::vector<Chosen> first = all.chosen;
    for (const Chosen& one : first) {
      const Sets others = all.without(one.lever);
      if (others == all.set())  // later ones say all that it said
        std::erase_if(all.chosen, [&](const Chosen& c) { return c.lever == one.lever; });
      const auto found = best_of(*std::ranges::find(table_, one.lever, &Lever::name), others, all.figures);
      if (!found || found->screened_out || !better(found->figures, all.figures, kWorthKeeping)) continue;
      std::erase_if(all.chosen, [&](const Chosen& c) { return c.lever == one.lever; });
      all.chosen.push_back({one.lever, found->proposal.set});
      all.figures = found->figures;
    }
  }

  // What a row leaves to pay: today's less what it saves itself.
  Figures own(const Found& f) const {
    Figures left = f.figures;
    if (f.before.empty() || !base_.ends() || !f.beside.ends()) return left;
    left.cost = base_.cost - (f.beside.cost - f.figures.cost);
    left.co2e_t = base_.co2e_t - (f.beside.co2e_t - f.figures.co2e_t);
    return left;
  }

  Json rows_json() {
    std::ranges::stable_sort(found_,
                             [&](const Found& a, const Found& b) { return better(own(a), own(b), 0); });
    Json rows = Json::array();
    for (const Found& f : found_) {
      Json row = {{"lever", f.lever.name},
                  {"severity", severity_of(f.beside, f.figures)},
                  {"where", location_of(source_, f.lever.key)},
                  {"key", f.lever.key},
                  {"finding", f.proposal.finding},
                  {"today", f.proposal.today},
                  {"proposed", f.proposal.proposed},
                  {"before", json_of(f.beside)},
                  {"after", json_of(f.figures)}};
      row.update(savings_json(f.beside, f.figures));
      row["set"] = joined(f.before, f.proposal.set);
      if (!f.before.empty()) row["stands_on"] = {{"levers", f.levers_before}, {"set", f.before}};
      row["asks_for"] = kReachNames[static_cast<std::size_t>(f.lever.reach)];
      if (f.second) {
        const Tried& second = f.tried[*f.second];
        row["second"] = {{"proposed", second.proposal.proposed},
                         {"finding", second.proposal.finding},
                         {"set", joined(f.before, second.proposal.set)}};
        row["second"].update(savings_json(f.beside, *second.figures));
        row["second"]["trials"] = second.figures->trials;
      }
      row["tried"] = tried_json(f);
      row["trials"] = f.figures.trials;
      row["combined"] = together_.has(f.lever.name);
      rows.push_back(std::move(row));
    }
    return rows;
  }

  Json combination_json(const Combination& all) {
    Json names = Json::array(), worth = Json::array();
    for (const Chosen& c : all.chosen) names.push_back(c.lever);
    for (const Chosen& c : all.chosen) {
      if (all.chosen.size() < 2) break;
      try {
        Json one = {{"lever", c.lever}, {"set", c.set}};
        const Figures left = figures_with(all.without(c.lever));
        one.update(savings_json(left, all.figures));
        one["fits_without"] = left.fits;
        worth.push_back(std::move(one));
      } catch (const ConfigError&) {  // the others need it
        worth.push_back({{"lever", c.lever}, {"set", c.set}});
      }
    }
    Json json = {{"levers", std::move(names)}, {"before", json_of(base_)}, {"after", json_of(all.figures)}};
    json.update(savings_json(base_, all.figures));
    json["set"] = all.set();
    json["worth"] = std::move(worth);
    return json;
  }

  const ScenarioSource& source_;
  const Library& library_;
  ExperimentOptions options_;
  AdviceSearch search_;
  std::vector<Lever> table_;
  std::map<std::pair<Sets, std::int64_t>, Figures> known_;
  std::set<Sets> too_long_;
  Figures base_;
  std::vector<Found> found_, alone_;
  Combination together_, everything_;
  Json rest_ = Json::array();
  std::int64_t done_ = 0, total_ = 1;
  int searches_ = 0;
};

}  // namespace

nlohmann::ordered_json advise_document(const ScenarioSource& source, const Library& library,
                                       const ExperimentOptions& options, AdviceSearch search,
                                       std::vector<Lever> table) {
  Advisor advisor(source, library, options, search, std::move(table));
  advisor.outer.progress = options.progress;
  return advisor.document();
}

}  // namespace runcast
