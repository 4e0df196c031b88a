// The policies and their timelines; reading and resolving. Sources of the defaults stand in the header.
#include "failures/recovery.hpp"

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
  const Duration known = incident.detect + times.diagnose + incident.manual;
  if (incident.swap) {
    at(t, RecoveryState::wait_for_spare) = std::max(Duration{}, incident.spare_in - known);
    at(t, RecoveryState::reschedule) = times.reschedule;
  }
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

constexpr std::array<RecoveryPolicy, 7> kPolicies{{
    {"restart", "the job is queued again and always finds whole nodes", restart_all, Supply::unlimited, kCold,
     false, false},
    {"hot_spare",
     "standby nodes run idle and take the place of failed ones; without one left the job waits for a "
     "repair",
     restart_all, Supply::spares, kWarm, false, false},
    {"cold_spare", "spare nodes are set up when they are needed; without one left the job waits for a repair",
     restart_all, Supply::spares, kCold, false, false},
    {"wait", "there are no spares: the job waits until the failed nodes are repaired", restart_all,
     Supply::none, Seconds(0), false, false},
    {"elastic", "the other replicas go on after a stall, slower, until the lost one comes back", restart_all,
     Supply::spares, kWarm, true, false},
    {"in_memory", "hot spares, and copies of the state in peers' memory that most failures leave whole",
     restart_all, Supply::spares, kWarm, false, true},
    {"in_process",
     "hot spares, and surviving processes are kept: communicators and state are made anew inside them",
     keep_processes, Supply::spares, kWarm, false, false},
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
  if (!(settings.memory.covers >= 0 && settings.memory.covers <= 1))
    section.fail("memory_covers", "the share of events that memory copies survive is between 0 and 1");
}

}  // namespace

RecoverySettings read_recovery(Section section) {
  std::array<std::string_view, kPolicies.size()> names;
  std::transform(kPolicies.begin(), kPolicies.end(), names.begin(), [](const auto& row) { return row.name; });
  RecoverySettings s;
  const auto time = [&](std::string_view key, Seconds fallback) {
    return limited(section, key, section.seconds(key, fallback));
  };
  const auto time_or_auto = [&](std::string_view key) {
    std::optional<Seconds> read = section.seconds_or_word(key, "auto");
    if (read) read = limited(section, key, *read);
    return read;
  };
  s.policy = section.choice("policy", names, s.policy);
  s.spares = section.count_or_word("spares", "auto");
  s.detect = time("detect", s.detect);
  s.diagnose = time("diagnose", s.diagnose);
  s.reschedule = time_or_auto("reschedule");
  s.start = time("start", s.start);
  s.initialize = time_or_auto("initialize");
  s.load = time_or_auto("load");
  s.warm_up = time("warm_up", s.warm_up);
  s.spread = section.number("spread", s.spread);
  s.manual_probability = section.number("manual_probability", s.manual_probability);
  s.manual = time("manual", s.manual);
  s.stall = time("stall", s.stall);
  s.rejoin = time("rejoin", s.rejoin);
  s.elastic_overhead = section.number("elastic_overhead", s.elastic_overhead);
  s.max_lost = section.count_or_word("max_lost", "auto");
  s.memory.interval = time("memory_interval", s.memory.interval);
  s.memory.block = time("memory_block", s.memory.block);
  s.memory.load = time("memory_load", s.memory.load);
  s.memory.covers = section.number("memory_covers", s.memory.covers);
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
  plan.stall = to_clock(settings.stall);
  plan.rejoin = to_clock(settings.rejoin);
  plan.elastic_overhead = settings.elastic_overhead;
  plan.max_lost = std::min(settings.max_lost.value_or(scale.replicas / 2), scale.replicas - 1);
  if (plan.policy->supply == Supply::spares)
    plan.spares = settings.spares.value_or(recommended_spares(failures, scale));
  return plan;
}

CheckpointPlan with_memory_level(CheckpointPlan plan, const RecoverySettings& settings) {
  const RecoveryPolicy* policy = find_recovery_policy(settings.policy);
  INVARIANT(policy != nullptr);
  const CheckpointTier& m = settings.memory;
  if (!policy->keeps_memory_copies || m.interval >= plan.durable().interval) return plan;
  const CheckpointLevel level{m.name, m.interval, m.block, m.persist, m.load, m.covers};
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
