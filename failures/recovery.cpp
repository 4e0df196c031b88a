// The policies and their timelines; reading and resolving. Sources of the defaults stand in the header.
#include "failures/recovery.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "failures/availability.hpp"
#include "failures/limits.hpp"

namespace runcast {

namespace {

Duration& at(Timeline& timeline, RecoveryState state) { return timeline[static_cast<std::size_t>(state)]; }

// Every process ends and starts again, on other nodes where nodes were lost.
Timeline restart_all(const Incident& incident, const RecoveryTimes& times) {
  Timeline t{};
  at(t, RecoveryState::detect) = incident.detect;
  at(t, RecoveryState::diagnose) = times.diagnose + incident.manual;
  if (incident.swap) at(t, RecoveryState::reschedule) = times.reschedule;
  at(t, RecoveryState::start) = times.start;
  at(t, RecoveryState::initialize) = times.initialize;
  at(t, RecoveryState::load) = incident.load;
  at(t, RecoveryState::warm_up) = times.warm_up;
  return t;
}

// Surviving processes live on, and so does what they compiled: only communicators and state are made anew.
Timeline keep_processes(const Incident& incident, const RecoveryTimes& times) {
  Timeline t = restart_all(incident, times);
  at(t, RecoveryState::start) = at(t, RecoveryState::warm_up) = Duration{};
  return t;
}

constexpr Seconds kWarm{20};           // TrainMover (OSDI'26): about 20 s with standbys; Google's demo 50 s
constexpr Seconds kCold{5 * kMinute};  // assumption; 20 s to 30 min published

constexpr std::array<RecoveryPolicy, 8> kPolicies{{
    {"restart", "the job is queued again and always finds whole nodes", restart_all, Supply::unlimited, kCold,
     Survivors::stop, false},
    {"hot_spare",
     "standby nodes run idle and take the place of failed ones; without one left the job waits for a "
     "repair",
     restart_all, Supply::spares, kWarm, Survivors::stop, false},
    {"cold_spare", "spare nodes are set up when they are needed; without one left the job waits for a repair",
     restart_all, Supply::spares, kCold, Survivors::stop, false},
    {"wait", "there are no spares: the job waits until the failed nodes are repaired", restart_all,
     Supply::none, Seconds(0), Survivors::stop, false},
    {"elastic", "the other replicas go on after a stall, slower, until the lost one comes back", restart_all,
     Supply::spares, kWarm, Survivors::go_on_slower, false},
    {"in_memory", "hot spares, and copies of the state in peers' memory that most failures leave whole",
     restart_all, Supply::spares, kWarm, Survivors::stop, true},
    {"in_process",
     "hot spares, and surviving processes are kept: communicators and state are made anew inside them",
     keep_processes, Supply::spares, kWarm, Survivors::stop, false},
    {"replicated",
     "each part of the batch is computed by several replicas: a failure is masked until a part has none",
     restart_all, Supply::spares, kWarm, Survivors::mask, false},
}};

void check(Section section, const RecoverySettings& settings) {
  if (!section.ok()) return;
  if (settings.spares && *settings.spares > kMostSpares)
    section.fail("spares", fmt::format("spares are nodes: from 0 to {}, or auto", kMostSpares));
  if (!(settings.spread >= 0 && settings.spread <= kLargestSpread))
    section.fail("spread",
                 fmt::format("the spread of restart times (sigma of a lognormal factor) is between 0 and {}",
                             kLargestSpread));
  if (settings.manual_probability < 0 || settings.manual_probability > 1)
    section.fail("manual_probability", "a probability is between 0 and 1");
  if (!(settings.elastic_overhead >= 0.01 && settings.elastic_overhead <= 1))
    section.fail("elastic_overhead", "the throughput kept by elastic training is between 0.01 and 1");
  if (settings.max_lost && *settings.max_lost < 0)
    section.fail("max_lost", "replicas cannot be fewer than 0");
  if (settings.memory.covers && !(*settings.memory.covers >= 0 && *settings.memory.covers <= 1))
    section.fail("memory_covers", "the share of events that memory copies survive is between 0 and 1");
  if (settings.memory.copies < 1 || settings.memory.copies > kLargestGroup)
    section.fail("memory_copies", fmt::format("copies are from 1 to {}", kLargestGroup));
  if (settings.cold_spares > kMostSpares || settings.reserve > kMostSpares)
    section.fail("cold_spares", fmt::format("spare nodes are from 0 to {}", kMostSpares));
  if (settings.misdiagnosis < 0 || settings.misdiagnosis > 1)
    section.fail("misdiagnosis", "a probability is between 0 and 1");
  if (settings.over_evict < 1 || settings.over_evict > kLargestGroup)
    section.fail("over_evict", fmt::format("nodes taken out together are from 1 to {}", kLargestGroup));
  if (settings.replication < 1 || settings.replication > kLargestGroup)
    section.fail("replication", fmt::format("replicas of each part are from 1 to {}", kLargestGroup));
  if (settings.replication_pace &&
      !(*settings.replication_pace >= 1 && *settings.replication_pace <= kLargestSlowdown))
    section.fail("replication_pace",
                 fmt::format("a pace is step time over normal step time: from 1 to {}", kLargestSlowdown));
}

// A time, or a map with its mean and the law that it follows: {mean: 30 s, law: weibull, shape: 0.7}.
void read_phase(Section& section, std::string_view key, RecoveryState state, bool word,
                const std::optional<Seconds>& fallback, std::optional<Seconds>& mean, PhaseLaws& laws) {
  const auto read = [&](Section& from, std::string_view name) {
    std::optional<Seconds> value;
    if (word)
      value = from.seconds_or_word(name, "auto");
    else
      value = from.seconds(name, *fallback);
    if (value) value = limited(from, name, *value);
    return value;
  };
  if (section.kind(key) != NodeKind::map) {
    mean = read(section, key);
    return;
  }
  Section phase = section.section(key);
  mean = read(phase, "mean");
  PhaseLaw law;
  const std::string name = phase.choice("law", kLawNames, "lognormal");
  law.law = static_cast<Law>(std::find(kLawNames.begin(), kLawNames.end(), name) - kLawNames.begin());
  if (law.law != Law::exponential) law.shape = phase.number("shape", law.shape);
  const bool lognormal = law.law == Law::lognormal;
  const double low = lognormal ? 0 : 0.1, high = lognormal ? kLargestSpread : 10;
  if (phase.ok() && law.law != Law::exponential && !(law.shape >= low && law.shape <= high))
    phase.fail("shape", fmt::format("the shape of a {} law is from {} to {}", name, low, high));
  laws[static_cast<std::size_t>(state)] = law;
}

RepairShop read_shop(Section section) {
  RepairShop shop;
  shop.staged = true;
  const auto time = [&](std::string_view key, Seconds fallback) {
    return limited(section, key, section.seconds(key, fallback));
  };
  const auto share = [&](std::string_view key, double fallback) {
    const double value = section.number(key, fallback);
    if (section.ok() && !(value >= 0 && value <= 1)) section.fail(key, "a probability is between 0 and 1");
    return value;
  };
  shop.staged = section.flag("staged", shop.staged);
  shop.automatic = time("automatic", shop.automatic);
  shop.manual = time("manual", shop.manual);
  shop.manual_share = share("manual_share", shop.manual_share);
  shop.false_fix_automatic = share("false_fix_automatic", shop.false_fix_automatic);
  shop.false_fix_manual = share("false_fix_manual", shop.false_fix_manual);
  shop.burn_in = time("burn_in", shop.burn_in);
  shop.retire = share("retire", shop.retire);
  shop.replacement = time("replacement", shop.replacement);
  shop.crews = section.count("crews", shop.crews);
  const std::string law = section.choice("law", kLawNames, "exponential");
  shop.law = static_cast<Law>(std::find(kLawNames.begin(), kLawNames.end(), law) - kLawNames.begin());
  if (shop.law != Law::exponential) shop.shape = section.number("shape", shop.shape);
  if (section.ok() && shop.law != Law::exponential && !(shop.shape >= 0.1 && shop.shape <= kLargestSpread))
    section.fail("shape", fmt::format("the shape of a repair law is from 0.1 to {}", kLargestSpread));
  shop.recurrence = time("recurrence", shop.recurrence);
  shop.suspect = time("suspect", shop.suspect);
  return shop;
}

}  // namespace

RecoverySettings read_recovery(Section section) {
  std::array<std::string_view, kPolicies.size()> names;
  std::transform(kPolicies.begin(), kPolicies.end(), names.begin(), [](const auto& row) { return row.name; });
  RecoverySettings s;
  const auto time = [&](std::string_view key, Seconds fallback) {
    return limited(section, key, section.seconds(key, fallback));
  };
  s.policy = section.choice("policy", names, s.policy);
  s.spares = section.count_or_word("spares", "auto");
  std::optional<Seconds> detect, diagnose, start, warm_up;
  const auto phase = [&](std::string_view key, RecoveryState state, Seconds fallback,
                         std::optional<Seconds>& mean) {
    read_phase(section, key, state, false, fallback, mean, s.laws);
  };
  const auto phase_or_auto = [&](std::string_view key, RecoveryState state, std::optional<Seconds>& mean) {
    read_phase(section, key, state, true, std::nullopt, mean, s.laws);
  };
  phase("detect", RecoveryState::detect, s.detect, detect);
  phase("diagnose", RecoveryState::diagnose, s.diagnose, diagnose);
  phase_or_auto("reschedule", RecoveryState::reschedule, s.reschedule);
  phase("start", RecoveryState::start, s.start, start);
  phase_or_auto("initialize", RecoveryState::initialize, s.initialize);
  phase_or_auto("load", RecoveryState::load, s.load);
  phase("warm_up", RecoveryState::warm_up, s.warm_up, warm_up);
  s.detect = detect.value_or(s.detect);
  s.diagnose = diagnose.value_or(s.diagnose);
  s.start = start.value_or(s.start);
  s.warm_up = warm_up.value_or(s.warm_up);
  s.spread = section.number("spread", s.spread);
  s.manual_probability = section.number("manual_probability", s.manual_probability);
  s.manual = time("manual", s.manual);
  s.cold_spares = section.count("cold_spares", s.cold_spares);
  s.cold_reschedule = time("cold_reschedule", s.cold_reschedule);
  s.reserve = section.count("reserve", s.reserve);
  s.preemption = time("preemption", s.preemption);
  if (auto repair = section.optional_section("repair")) s.shop = read_shop(*repair);
  s.misdiagnosis = section.number("misdiagnosis", s.misdiagnosis);
  s.over_evict = section.count("over_evict", s.over_evict);
  s.stall = time("stall", s.stall);
  s.rejoin = time("rejoin", s.rejoin);
  s.elastic_overhead = section.number("elastic_overhead", s.elastic_overhead);
  s.max_lost = section.count_or_word("max_lost", "auto");
  s.memory.interval = time("memory_interval", s.memory.interval);
  s.memory.block = time("memory_block", s.memory.block);
  s.memory.load = section.seconds_or_word("memory_load", "auto");
  if (s.memory.load) s.memory.load = limited(section, "memory_load", *s.memory.load);
  if (section.has("memory_covers")) s.memory.covers = section.number("memory_covers");
  s.memory.copies = section.count("memory_copies", s.memory.copies);
  s.memory.apart = section.flag("memory_apart", s.memory.apart);
  s.replication = section.count("replication", s.replication);
  if (section.has("replication_pace")) s.replication_pace = section.number("replication_pace");
  s.replicas_return = section.flag("replicas_return", s.replicas_return);
  check(section, s);
  return s;
}

std::span<const RecoveryPolicy> recovery_policies() { return kPolicies; }

const RecoveryPolicy* find_recovery_policy(std::string_view name) {
  const auto row =
      std::find_if(kPolicies.begin(), kPolicies.end(), [&](const auto& p) { return p.name == name; });
  return row == kPolicies.end() ? nullptr : &*row;
}

RecoveryPlan resolve(const RecoverySettings& settings, const JobScale& scale, const FailureModel& failures) {
  RecoveryPlan plan;
  plan.policy = find_recovery_policy(settings.policy);
  INVARIANT(plan.policy != nullptr);
  const Seconds set_up(5 + 0.3 * static_cast<double>(scale.gpus()) / 1000);  // MegaScale (NSDI'24), fitted
  plan.times.detect = to_clock(settings.detect);
  plan.times.diagnose = to_clock(settings.diagnose);
  plan.times.reschedule = to_clock(settings.reschedule.value_or(plan.policy->reschedule));
  plan.times.start = to_clock(settings.start);
  plan.times.initialize = to_clock(settings.initialize.value_or(set_up));
  plan.times.warm_up = to_clock(settings.warm_up);
  plan.times.manual = to_clock(settings.manual);
  plan.load = settings.load;
  plan.spread = settings.spread;
  plan.manual_probability = settings.manual_probability;
  plan.laws = settings.laws;
  plan.cold_spares = settings.cold_spares;
  plan.cold_reschedule = to_clock(settings.cold_reschedule);
  plan.reserve = settings.reserve;
  plan.preemption = to_clock(settings.preemption);
  plan.shop = settings.shop;
  plan.misdiagnosis = settings.misdiagnosis;
  plan.over_evict = std::min(settings.over_evict, scale.nodes);
  plan.stall = to_clock(settings.stall);
  plan.rejoin = to_clock(settings.rejoin);
  plan.elastic_overhead = settings.elastic_overhead;
  plan.max_lost = std::min(settings.max_lost.value_or(scale.replicas / 2), scale.replicas - 1);
  if (plan.policy->survivors == Survivors::mask) {
    plan.max_lost = scale.replicas - 1;
    plan.replication = std::min(settings.replication, scale.replicas);
    plan.replication_pace = settings.replication_pace.value_or(static_cast<double>(plan.replication));
    plan.replicas_return = settings.replicas_return;
  }
  if (plan.policy->supply == Supply::spares)
    plan.spares = settings.spares.value_or(recommended_spares(repaired_by(settings.shop, failures), scale));
  return plan;
}

FleetPlan RecoveryPlan::fleet() const {
  FleetPlan fleet;
  fleet.endless = policy->supply == Supply::unlimited;
  fleet.shop = shop;
  fleet.on_demand = on_demand;
  if (policy->supply != Supply::spares) return fleet;
  fleet.standby = spares;
  fleet.cold = cold_spares;
  fleet.reserve = reserve;
  return fleet;
}

// The job works while all its nodes do, so it waits for about rate x repair / (1 + rate x repair) of the time.
std::vector<std::string> warnings(const RecoveryPlan& plan, const FailureModel& failures,
                                  const JobScale& scale) {
  std::vector<std::string> sentences;
  if (plan.policy->supply == Supply::unlimited) return sentences;
  if (plan.on_demand) {
    RecoveryPlan alone = plan;
    alone.on_demand = false;
    return warnings(alone, without_preemption(failures), scale);
  }
  const FailureModel repaired = repaired_by(plan.shop, failures);
  const double out = swap_rate(repaired, scale) * mean_repair(repaired, scale);
  const auto there = static_cast<double>(plan.spares + plan.cold_spares + plan.reserve);
  if (out > 0.1 && there < out)
    sentences.push_back(
        fmt::format("policy {} keeps {:.0f} spare nodes, but {:.1f} are in repair on average (one leaves "
                    "every {:.1f} h, a "
                    "repair takes {:.1f} h): the job mostly waits; {} spares last 99 % of the time",
                    plan.policy->name, there, out, 1 / (swap_rate(repaired, scale).value * kHour),
                    in_hours(mean_repair(repaired, scale)), recommended_spares(repaired, scale)));
  return sentences;
}

CheckpointPlan with_memory_level(CheckpointPlan plan, const RecoverySettings& settings,
                                 const JobScale& scale) {
  const RecoveryPolicy* policy = find_recovery_policy(settings.policy);
  INVARIANT(policy != nullptr);
  const CheckpointTier& m = settings.memory;
  if (!policy->keeps_memory_copies || m.interval >= plan.durable().interval) return plan;
  const CheckpointLevel level = level_of(m, plan.bytes, scale);
  const auto less_often =
      std::find_if(plan.levels.begin(), plan.levels.end() - 1,
                   [&](const CheckpointLevel& other) { return other.interval > m.interval; });
  plan.levels.insert(less_often, level);
  return plan;
}

Seconds planned_restart(const RecoveryPlan& plan, const CheckpointPlan& checkpoint) {
  Incident incident;
  incident.swap = true;
  incident.detect = plan.times.detect;
  incident.load = to_clock(plan.load.value_or(checkpoint.durable().load));
  Duration sum;
  for (const Duration d : plan.policy->timeline(incident, plan.times)) sum += d;
  return to_seconds(sum);
}

}  // namespace runcast
