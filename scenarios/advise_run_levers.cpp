// See the header.
#include "scenarios/advise_run_levers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "failures/availability.hpp"
#include "scenarios/library_entries.hpp"

namespace runcast {

namespace {

using Proposals = std::vector<Proposal>;

bool is_real(const RecoveryPolicy& policy) {  // somebody can run it, and it is not much dearer by design
  return policy.name != "restart" && policy.name != "wait" && policy.name != "replicated";
}

// ---- place and hour -----------------------------------------------------------------------------------------

// Cheaper first, then cleaner, then at home, then sooner.
bool cheaper(const Place& a, const Place& b, const std::string& home) {
  if (a.mean.price != b.mean.price) return a.mean.price < b.mean.price;
  if (a.mean.kg_per_kwh != b.mean.kg_per_kwh) return a.mean.kg_per_kwh < b.mean.kg_per_kwh;
  if ((a.region == home) != (b.region == home)) return a.region == home;
  return a.start_hour < b.start_hour;
}
bool cleaner(const Place& a, const Place& b, const std::string& home) {
  if (a.mean.kg_per_kwh != b.mean.kg_per_kwh) return a.mean.kg_per_kwh < b.mean.kg_per_kwh;
  return cheaper(a, b, home);
}

std::vector<std::string> places_of(const Economics& e) {
  std::vector<std::string> names{e.region};
  const auto add = [&](const std::string& name) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  };
  for (const HourlySeries& series : e.hourly) add(series.region);
  if (e.hourly.empty())
    for (const Region& region : regions())
      if (region.name != "global") add(std::string(region.name));
  return names;
}

// All regions, at all whole hours at which the run can start and still end within its deadline (none: within a day).
std::vector<Place> all_places(const Economics& e, Seconds wall, std::optional<Seconds> deadline) {
  const bool hours_differ = !e.hourly.empty() || !e.windows.empty();
  const double slack = !hours_differ ? 0 : deadline ? in_hours(*deadline) - in_hours(wall) : 24;
  // Starts repeat with the series; two weeks of them are enough to choose from.
  const auto starts = static_cast<int>(std::clamp(std::floor(slack), 0.0, 336.0));
  std::vector<Place> all;
  for (const std::string& region : places_of(e))
    for (int start = 0; start <= starts; ++start)
      all.push_back({region, static_cast<double>(start), hourly_mean(e, region, e.start_hour + start, wall)});
  return all;
}

// The first of `places` in an order, of those that are allowed.
template <class Order, class Allowed>
const Place* least(const std::vector<Place>& places, Order order, Allowed allowed) {
  const Place* best = nullptr;
  for (const Place& place : places)
    if (allowed(place) && (best == nullptr || order(place, *best))) best = &place;
  return best;
}

Proposal move_to(const Place& to, const Place& today, const Economics& e) {
  Proposal p;
  const bool stays = to.region == today.region;
  if (!stays)
    p.finding = fmt::format("{} emits {:.3g} kg a kWh, {} {:.3g}", today.region, today.mean.kg_per_kwh,
                            to.region, to.mean.kg_per_kwh);
  else
    p.finding = fmt::format("{} emits {:.3g} kg a kWh now, {:.3g} in {:.0f} h", today.region,
                            today.mean.kg_per_kwh, to.mean.kg_per_kwh, to.start_hour);
  if (to.mean.price != today.mean.price)
    p.finding += fmt::format("; GPU-hours cost {:.3g} times their price, and {:.3g} then", today.mean.price,
                             to.mean.price);
  p.today = today.region;
  p.proposed = to.region;
  if (!stays) p.set.push_back(fmt::format("economics.region={}", to.region));
  const bool has_series =
      std::ranges::any_of(e.hourly, [&](const HourlySeries& series) { return series.region == to.region; });
  // What the file says of the grid holds for its own region.
  if (!stays && !has_series) p.set.emplace_back("economics.carbon_intensity=");
  if (to.start_hour > 0) {
    p.proposed += fmt::format(", starting in {:.0f} h", to.start_hour);
    p.set.push_back(fmt::format("economics.start_hour={}", e.start_hour + to.start_hour));
  }
  return p;
}

}  // namespace

Proposals checkpoint_lever(const Scenario& s, const Library&) {
  Proposals all;
  const CheckpointSettings& c = s.checkpoint;
  const std::string today =
      fmt::format("{}, {}", c.mode == SaveMode::sync ? "sync" : "async",
                  c.rule == IntervalRule::fixed ? fmt::format("every {:.4g} min", c.interval.value / kMinute)
                                                : std::string("interval by rule"));
  const char* finding = "saves stop the training, and what was not saved is lost";
  const auto add = [&](const char* proposed, std::vector<std::string> set) {
    if (c.rule != IntervalRule::optimal) set.emplace_back("checkpoint.interval=optimal");
    all.push_back({finding, today, proposed, std::move(set)});
  };
  const std::vector<std::string> async{"checkpoint.mode=async", "checkpoint.block=auto",
                                       "checkpoint.persist=auto"};
  if (c.rule != IntervalRule::optimal) add("interval at its simulated optimum", {});
  if (c.mode == SaveMode::sync) add("async, interval at its optimum", async);
  if (c.block && c.block->value > 2) add("2 s blocking", {"checkpoint.mode=async", "checkpoint.block=2 s"});
  const RecoveryPolicy* policy = find_recovery_policy(s.recovery.policy);
  if (!c.tiers.empty() || (policy != nullptr && policy->keeps_memory_copies)) return all;
  // With the saves in front of it, the durable level may be rarer.
  if (s.nodes > 1)
    add("copies in peers' memory, every minute", {"checkpoint.tiers=[{name: memory, kind: peer_memory}]"});
  add("copies on local disks", {"checkpoint.tiers=[{name: disk, kind: local_disk, interval: 5 min}]"});
  return all;
}

Proposals recovery_lever(const Scenario& s, const Library&) {
  Proposals all;
  for (const RecoveryPolicy& policy : recovery_policies()) {
    if (!is_real(policy) || policy.name == s.recovery.policy) continue;
    if (policy.survivors == Survivors::go_on_slower && s.layout.data < 2) continue;
    std::vector<std::string> set{fmt::format("recovery.policy={}", policy.name)};
    all.push_back(
        {"another answer to the same failures", s.recovery.policy, std::string(policy.name), std::move(set)});
  }
  return all;
}

// Fewer and more, down to none; none also with the policy that goes on without.
Proposals spares_lever(const Scenario& s, const Library&) {
  const RecoveryPolicy* policy = find_recovery_policy(s.recovery.policy);
  if (policy == nullptr || policy->supply != Supply::spares) return {};
  const std::int64_t enough = recommended_spares(repaired_by(s.recovery.shop, s.failures), s.job_scale());
  const std::int64_t today =
      s.recovery.spares.value_or(resolve(s.recovery, s.job_scale(), s.failures).spares);
  Proposals all;
  const auto add = [&](std::int64_t spares, const char* other_policy) {
    std::vector<std::string> set;
    if (other_policy != nullptr) set.push_back(fmt::format("recovery.policy={}", other_policy));
    set.push_back(fmt::format("recovery.spares={}", spares));
    all.push_back(
        {fmt::format("{} nodes stand by, idle and paid for; P99 of the nodes in repair is {}", today, enough),
         fmt::format("{} spares{}", today, s.recovery.spares ? "" : ", by rule"),
         other_policy != nullptr ? fmt::format("{} spares, {}", spares, other_policy)
                                 : fmt::format("{} spares", spares),
         set});
  };
  const bool elastic = s.layout.data >= 2 && s.recovery.policy != "elastic";
  for (const std::int64_t n : std::set<std::int64_t>{0, 1, enough / 2, enough, enough * 2}) {
    if (n != today) add(n, nullptr);
    if (n < today && elastic) add(n, "elastic");
  }
  return all;
}

Proposals capacity_lever(const Scenario& s, const Library&) {
  const Economics& e = s.economics;
  const std::string today(kCapacityNames[static_cast<std::size_t>(e.capacity)]);
  Proposals all;
  if (e.capacity != Capacity::on_demand)
    all.push_back({e.capacity == Capacity::spot
                       ? fmt::format("spot nodes are taken back at {:.3g} an hour each; on demand none is",
                                     e.spot.rate.rate.value * kHour)
                       : std::string("on demand binds to no term"),
                   today,
                   "on demand",
                   {"economics.capacity=on_demand"}});
  if (e.capacity != Capacity::reserved)
    all.push_back({fmt::format("a term's discount is {:.0f} %", 100 * e.reserved_discount),
                   today,
                   "reserved",
                   {"economics.capacity=reserved"}});
  const auto spot = [&](const char* name, const char* fallback, std::vector<std::string> set) {
    set.insert(set.begin(), {"economics.capacity=spot", fmt::format("economics.spot.fallback={}", fallback)});
    all.push_back({fmt::format("spot nodes cost {:.0f} % less and are taken back at {:.3g} an hour each",
                               100 * e.spot.discount, e.spot.rate.rate.value * kHour),
                   today, fmt::format("spot, {}{}", name, fallback[0] == 't' ? ", on demand meanwhile" : ""),
                   std::move(set)});
  };
  for (const char* fallback : {"true", "false"}) {
    spot("hot_spare", fallback, {"recovery.policy=hot_spare"});
    if (s.layout.data < 2) continue;
    spot("elastic", fallback, {"recovery.policy=elastic"});
    spot("elastic without spares", fallback, {"recovery.policy=elastic", "recovery.spares=0"});
  }
  return all;
}

// The cheapest and the cleanest; of those that cost no more than today the cleanest, of those that emit no more the
// cheapest; the same at home; and each region for itself, at its best hour.
Proposals place_lever(const Scenario& s, const Library&) {
  const Economics& e = s.economics;
  const double tokens = static_cast<double>(s.training.global_batch * s.training.sequence_length);
  const bool hours_differ = !e.hourly.empty() || !e.windows.empty();
  const Seconds wall =
      hours_differ ? to_seconds(step_of(s, 1, false).time) * (s.stopped_tokens / tokens) : Seconds(kHour);
  const std::vector<Place> places = all_places(e, wall, s.run.deadline);
  const Place today = places.front();  // here and now
  const auto by_price = [&](const Place& a, const Place& b) { return cheaper(a, b, e.region); };
  const auto by_carbon = [&](const Place& a, const Place& b) { return cleaner(a, b, e.region); };
  const auto any = [](const Place&) { return true; };
  const auto no_dearer = [&](const Place& p) { return p.mean.price <= today.mean.price; };
  const auto no_dirtier = [&](const Place& p) { return p.mean.kg_per_kwh <= today.mean.kg_per_kwh; };
  std::vector<const Place*> chosen{least(places, by_price, any), least(places, by_carbon, any),
                                   least(places, by_carbon, no_dearer), least(places, by_price, no_dirtier)};
  for (const std::string& region : places_of(e)) {
    const auto there = [&](const Place& p) { return p.region == region; };
    chosen.push_back(least(places, by_price, there));
    chosen.push_back(least(places, by_carbon, [&](const Place& p) { return there(p) && no_dearer(p); }));
  }
  Proposals all;
  std::set<std::pair<std::string, double>> seen{{today.region, 0}};
  for (const Place* place : chosen)
    if (place != nullptr && (no_dearer(*place) || no_dirtier(*place)) &&
        seen.insert({place->region, place->start_hour}).second)
      all.push_back(move_to(*place, today, e));
  return all;
}

// Nodes of the same shape, at their own list price.
Proposals hardware_lever(const Scenario& s, const Library& library) {
  Proposals all;
  for (const std::string& name : library.names("hardware/nodes")) {
    const LibraryEntry* entry = library.find("hardware/nodes", name);
    Document document = Document::parse(entry->text, entry->path);
    Section root = document.root();
    const GpuSpec gpu = gpu_named(root.text("gpu"), library, name);
    const std::int64_t in_node = root.count("gpus", 0);
    if (in_node < 1 || s.gpus() % in_node != 0 || gpu.name == s.node.gpu.name || list_price(gpu).value <= 0)
      continue;
    if (peak_rate(gpu, *s.training.precision).value <= 0) continue;
    std::string finding = fmt::format("as many {} at {:.2f} USD a GPU-hour", gpu.name, list_price(gpu).value);
    if (gpu.vendor != s.node.gpu.vendor)
      finding +=
          fmt::format("; of {}: simulated as if {} ran there as it does here", gpu.vendor, s.software.name);
    all.push_back(
        {finding, s.node.gpu.name, gpu.name, {fmt::format("cluster.node={}", name), "economics.gpu_hour="}});
    if (in_node != s.node.gpus) all.back().set.push_back(fmt::format("cluster.nodes={}", s.gpus() / in_node));
  }
  return all;
}

}  // namespace runcast
