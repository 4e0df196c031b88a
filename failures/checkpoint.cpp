// Reading and resolving of checkpoint settings, and the closed forms; sources stand in the header.
#include "failures/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "failures/blast.hpp"
#include "failures/limits.hpp"

namespace runcast {

namespace {

constexpr Seconds kAsyncBlock{2};       // see CheckpointSettings::block
constexpr Seconds kLeastTierLoad{10};   // see CheckpointTier::load
constexpr double kMemoryCovers = 0.95;  // see CheckpointTier::covers
constexpr Seconds kLeastLoad{30};       // opening files and checking shards; within ByteCheckpoint's 5-270 s

std::string in_words(Seconds t) {
  if (t.value >= 120) return fmt::format("{:.4g} min", t.value / kMinute);
  return fmt::format("{:.4g} s", t.value);
}

void read_interval(Section section, CheckpointSettings& settings) {
  const std::string text = section.text("interval", "auto");
  if (text == "auto") {
    settings.rule = IntervalRule::automatic;
  } else if (text == "young") {
    settings.rule = IntervalRule::young;
  } else if (text == "daly") {
    settings.rule = IntervalRule::daly;
  } else if (text == "optimal") {
    settings.rule = IntervalRule::optimal;
  } else {
    settings.rule = IntervalRule::fixed;
    try {
      settings.interval = limited(section, "interval", parse_seconds(text, "interval"), kLongestInterval);
    } catch (const ConfigError&) {
      section.fail(
          "interval",
          "'" + text + "' is no checkpoint interval; write a time (10 min), auto, young, daly or optimal");
    }
  }
}

TierKind kind_of(const std::string& name) {
  const auto found = std::find(kTierKindNames.begin(), kTierKindNames.end(), name);
  return static_cast<TierKind>(found - kTierKindNames.begin());
}

CheckpointTier read_tier(Section section) {
  CheckpointTier tier;
  tier.name = section.text("name");
  tier.kind = kind_of(section.choice("kind", kTierKindNames, "peer_memory"));
  tier.interval = limited(section, "interval", section.seconds("interval", tier.interval), kLongestInterval);
  tier.block = limited(section, "block", section.seconds("block", tier.block));
  tier.persist = section.seconds_or_word("persist", "auto");
  tier.load = section.seconds_or_word("load", "auto");
  if (tier.persist) tier.persist = limited(section, "persist", *tier.persist);
  if (tier.load) tier.load = limited(section, "load", *tier.load);
  if (section.has("covers")) tier.covers = section.number("covers");
  if (section.ok() && tier.covers && !(*tier.covers >= 0 && *tier.covers <= 1))
    section.fail("covers", "the share of events that a tier survives is between 0 and 1");
  if (tier.kind == TierKind::peer_memory) {
    tier.copies = section.count("copies", tier.copies);
    tier.apart = section.flag("apart", tier.apart);
    if (section.ok() && (tier.copies < 1 || tier.copies > kLargestGroup))
      section.fail("copies", fmt::format("copies are from 1 to {}", kLargestGroup));
  } else {
    tier.write = section.bandwidth("write", tier.write);
    if (section.ok() && !(tier.write.value > 0))
      section.fail("write", "the write bandwidth must be greater than 0");
  }
  return tier;
}

std::string too_often(const std::string& name, Seconds interval, const char* what, Seconds limit) {
  return fmt::format("{} checkpoint interval {} is shorter than its {} {}; save at most every {}", name,
                     in_words(interval), what, in_words(limit), in_words(limit));
}

void check_interval(Section section, const CheckpointSettings& settings) {
  if (!section.ok() || settings.rule != IntervalRule::fixed) return;
  if (!(settings.interval.value > 0))
    section.fail("interval", "the checkpoint interval must be longer than 0");
  else if (settings.block && settings.interval < *settings.block)
    section.fail("interval", too_often("the", settings.interval, "blocking time", *settings.block));
  else if (settings.persist && settings.interval < *settings.persist)
    section.fail("interval", too_often("the", settings.interval, "time to be durable", *settings.persist));
}

Seconds chosen_interval(const CheckpointSettings& settings, const CheckpointLevel& level, EventRate rate) {
  if (settings.rule == IntervalRule::fixed) return settings.interval;
  const Seconds least = std::max(level.persist, level.block);
  if (rate.value <= 0) return std::max(settings.interval, least);
  const Seconds mttf(1 / rate.value);
  const bool by_daly = settings.rule == IntervalRule::daly ||
                       (settings.rule == IntervalRule::automatic && settings.mode == SaveMode::sync);
  const Seconds best = by_daly ? daly_interval(level.block, mttf) : young_interval(level.block, mttf);
  return std::max(std::min(best, kLongestInterval), least);
}

}  // namespace

StorageSpec read_storage(Section section) {
  StorageSpec storage;
  storage.name = section.text("name", "inline");
  storage.kind = kind_of(section.choice("kind", kTierKindNames, "parallel_fs"));
  storage.write = section.bandwidth("write", storage.write);
  storage.read = section.bandwidth("read", storage.read);
  storage.gb_month = section.dollars("gb_month", storage.gb_month);
  storage.gb_egress = section.dollars("gb_egress", storage.gb_egress);
  if (section.ok() && storage.kind < TierKind::parallel_fs)
    section.fail("kind", "a storage is parallel_fs or object_store; others are checkpoint.tiers");
  for (const auto& [key, rate] : {std::pair{"write", storage.write}, {"read", storage.read}})
    if (section.ok() && !(rate.value > 0))
      section.fail(key, fmt::format("the {} bandwidth must be greater than 0", key));
  return storage;
}

CheckpointSettings read_checkpoint(Section section, const StorageSpec& storage) {
  constexpr std::array<std::string_view, 2> modes{"sync", "async"};
  CheckpointSettings settings;
  read_interval(section, settings);
  settings.mode = section.choice("mode", modes, "async") == "sync" ? SaveMode::sync : SaveMode::async;
  settings.block = section.seconds_or_word("block", "auto");
  settings.persist = section.seconds_or_word("persist", "auto");
  if (settings.block) settings.block = limited(section, "block", *settings.block);
  if (settings.persist) settings.persist = limited(section, "persist", *settings.persist);
  if (section.has("bytes")) settings.bytes = section.bytes("bytes");
  settings.write = section.bandwidth("write", storage.write);
  settings.read = section.bandwidth("read", storage.read);
  settings.storage = kind_of(
      section.choice("storage", kTierKindNames, kTierKindNames[static_cast<std::size_t>(storage.kind)]));
  settings.slowdown = section.number("slowdown", settings.slowdown);
  settings.retain = section.count("retain", settings.retain);
  settings.archive =
      limited(section, "archive", section.seconds("archive", settings.archive), kLongestInterval);
  if (section.ok() && settings.storage < TierKind::parallel_fs)
    section.fail("storage", "durable saves go to parallel_fs or object_store; others are tiers");
  if (section.ok() && !(settings.slowdown >= 1 && settings.slowdown <= kLargestSlowdown))
    section.fail("slowdown", fmt::format("a slowdown is step time over normal step time: from 1 to {}",
                                         kLargestSlowdown));
  for (const Section& tier : section.list("tiers")) settings.tiers.push_back(read_tier(tier));
  if (section.ok() && !(settings.write.value > 0))
    section.fail("write", "the write bandwidth must be greater than 0");
  if (section.ok() && !(settings.read.value > 0))
    section.fail("read", "the read bandwidth must be greater than 0");
  if (section.ok() && settings.mode == SaveMode::sync && settings.persist && settings.persist->value > 0)
    section.fail("persist", "a sync save is durable when it ends; leave out persist, or write mode: async");
  check_interval(section, settings);
  return settings;
}

bool survives(const CheckpointLevel& level, const Loss& loss, std::int64_t nodes) {
  if (level.kind == TierKind::peer_memory)
    return copies_survive(loss.nodes, nodes, level.copies, level.apart);
  return level.kind != TierKind::local_disk || !loss.swapped || loss.nodes.empty();
}

CheckpointLevel level_of(const CheckpointTier& tier, Bytes bytes, const JobScale& scale) {
  CheckpointLevel level{tier.name, tier.interval, tier.block,  Seconds(0), kLeastTierLoad,
                        1,         tier.kind,     tier.copies, tier.apart};
  const Bytes of_node = bytes / static_cast<double>(scale.nodes);
  Seconds moved(0);
  if (tier.kind == TierKind::peer_memory && scale.node_network.value > 0)
    moved = of_node * static_cast<double>(tier.copies - 1) / scale.node_network;
  if (tier.kind == TierKind::local_disk) moved = of_node / tier.write;
  if (tier.kind > TierKind::local_disk) moved = bytes / tier.write;
  level.persist = tier.persist.value_or(moved);
  level.load = tier.load.value_or(std::max(moved, kLeastTierLoad));
  level.covers = tier.covers.value_or(tier.kind == TierKind::peer_memory ? kMemoryCovers : 1.0);
  return level;
}

CheckpointPlan resolve(const CheckpointSettings& settings, const JobScale& scale, EventRate failure_rate) {
  CheckpointPlan plan;
  plan.bytes = settings.bytes.value_or(Bytes(scale.bytes_per_parameter * scale.parameters));
  plan.slowdown = settings.slowdown;
  plan.retain = settings.retain;
  plan.archive = settings.archive;
  const bool sync = settings.mode == SaveMode::sync;
  // No faster than the job's own NICs, where they are known.
  const auto bounded = [&](Bandwidth storage) {
    const Bandwidth network = scale.node_network * static_cast<double>(scale.nodes);
    return network.value > 0 ? std::min(storage, network) : storage;
  };
  const Bandwidth write = bounded(settings.write), read = bounded(settings.read);
  CheckpointLevel durable;
  durable.name = "durable";
  durable.block = settings.block.value_or(sync ? plan.bytes / write : kAsyncBlock);
  durable.persist = settings.persist.value_or(sync ? Seconds(0) : plan.bytes / write);
  durable.load = std::max(plan.bytes / read, kLeastLoad);
  durable.interval = chosen_interval(settings, durable, failure_rate);
  durable.kind = settings.storage;
  for (const CheckpointTier& tier : settings.tiers) plan.levels.push_back(level_of(tier, plan.bytes, scale));
  std::stable_sort(
      plan.levels.begin(), plan.levels.end(),
      [](const CheckpointLevel& a, const CheckpointLevel& b) { return a.interval < b.interval; });
  plan.levels.push_back(durable);
  return plan;
}

std::vector<std::string> problems(const CheckpointPlan& plan) {
  std::vector<std::string> sentences;
  for (const CheckpointLevel& level : plan.levels) {
    if (std::max({level.block, level.persist, level.load}) > kLongestTime)
      sentences.push_back(
          fmt::format("writing or reading a {} checkpoint of {:.4g} GB takes more than {:.0f} days; raise "
                      "checkpoint.write and "
                      "checkpoint.read, or lower checkpoint.bytes",
                      level.name, plan.bytes.value / kGiga, kLongestTime.value / kDay));
    else if (level.interval < level.block)
      sentences.push_back(too_often("the " + level.name, level.interval, "blocking time", level.block));
    else if (level.interval < level.persist)
      sentences.push_back(
          too_often("the " + level.name, level.interval, "time to be durable", level.persist));
    if (&level != &plan.durable() && level.interval > plan.durable().interval)
      sentences.push_back(fmt::format("tier '{}' saves every {}, less often than the durable checkpoint ({})",
                                      level.name, in_words(level.interval),
                                      in_words(plan.durable().interval)));
  }
  return sentences;
}

// ---- closed forms ---------------------------------------------------------------------------------------

Seconds young_interval(Seconds block, Seconds mttf) {
  return Seconds(std::sqrt(2 * block.value * mttf.value));
}

Seconds daly_first_order_interval(Seconds block, Seconds mttf) { return young_interval(block, mttf) - block; }

Seconds daly_interval(Seconds block, Seconds mttf) {
  if (block.value >= 2 * mttf.value) return mttf;
  const double x = block.value / (2 * mttf.value);
  return young_interval(block, mttf) * (1 + std::sqrt(x) / 3 + x / 9) - block;
}

// The left side falls and the right side falls faster: one crossing in (0, M), found by bisection to the last
// bit.
Seconds exact_optimal_interval(Seconds block, Seconds mttf) {
  const double delta = block.value / mttf.value;
  double low = 0, high = 1;  // tau / M
  for (int i = 0; i < 200; ++i) {
    const double middle = low + (high - low) / 2;
    (std::exp(-(middle + delta)) < 1 - middle ? low : high) = middle;
  }
  return Seconds(low * mttf.value);
}

Seconds daly_expected_time(Seconds work, Seconds interval, Seconds block, Seconds restart, Seconds mttf,
                           Seconds repair) {
  const double m = mttf.value;
  return Seconds((m + repair.value) * std::exp(restart.value / m) * std::expm1((interval + block).value / m) *
                 (work / interval));
}

double first_order_waste(Seconds interval, Seconds block, Seconds restart, Seconds mttf) {
  return block / interval + (restart + interval / 2) / mttf;
}

Seconds mean_lost_compute(Seconds interval, Seconds persist) { return interval / 2 + persist; }

double async_goodput(Seconds interval, Seconds block, Seconds persist, Seconds restart, Seconds mttf,
                     double planned_share) {
  const double saving = 1 / (1 + block / interval);
  const double failing = 1 / (1 + (restart + mean_lost_compute(interval, persist)) / mttf);
  return saving * failing - planned_share;
}

Seconds async_optimal_interval(Seconds block, Seconds persist, Seconds mttf) {
  return std::max(persist, young_interval(block, mttf));
}

double multi_level_waste(std::span<const LevelTerms> levels, Seconds mttf) {
  double waste = 0;
  for (const LevelTerms& level : levels) {
    waste += level.block / level.interval;
    waste += level.share * ((level.restart + mean_lost_compute(level.interval, level.persist)) / mttf);
  }
  return waste;
}

Seconds multi_level_interval(Seconds block, double share, Seconds mttf) {
  return Seconds(std::sqrt(2 * block.value * mttf.value / share));
}

Seconds gemini_wasted_time(Seconds checkpoint_time, Seconds period, Seconds retrieve_time) {
  return checkpoint_time + period / 2 + retrieve_time;
}

// C(N-m, k-m) / C(N, k) = k (k-1) .. (k-m+1) / (N (N-1) .. (N-m+1)): no factorials.
double gemini_memory_recovery(std::int64_t machines, std::int64_t replicas, std::int64_t lost) {
  INVARIANT(replicas >= 1 && machines >= replicas && lost >= 0 && lost <= machines);
  if (lost < replicas) return 1;
  double ratio = 1;
  for (std::int64_t i = 0; i < replicas; ++i)
    ratio *= static_cast<double>(lost - i) / static_cast<double>(machines - i);
  return std::max(0.0, 1 - static_cast<double>(machines) / static_cast<double>(replicas) * ratio);
}

double rsc_goodput(std::int64_t nodes, EventRate per_node, Seconds restart, Seconds interval, Seconds block) {
  const EventRate job = per_node * static_cast<double>(nodes);
  return (1 - job * (restart + interval / 2)) / (1 + block / interval);
}

double recovery_goodput(Seconds mttf, Seconds restart, HazardClock clock) {
  return clock == HazardClock::always ? (mttf - restart) / mttf : mttf / (mttf + restart);
}

double elastic_goodput(std::int64_t replicas, EventRate per_replica, Seconds stall, Seconds out,
                       double overhead) {
  return (1 - static_cast<double>(replicas) * (per_replica * stall)) * (1 - per_replica * out) * overhead;
}

Seconds corruption_loss(Seconds detection, Seconds interval) { return detection + interval / 2; }

Seconds spare_checkpoint_interval(Seconds save, Seconds unmasked_mttf, Seconds restart) {
  const double s = save.value;
  return Seconds(s + std::sqrt(s * s + 2 * s * (unmasked_mttf + restart).value));
}

std::int64_t spare_redundancy(std::int64_t groups) {
  return static_cast<std::int64_t>(std::floor(std::log2(static_cast<double>(groups)) + 0.833));
}

}  // namespace runcast
