// What is taken where a scenario says nothing, each figure against the source that stands in the header.
#include <doctest/doctest.h>

#include "tests/error_of.hpp"
#include "tests/failures/runs.hpp"

using namespace runcast;
using namespace runcast::literals;
using doctest::Approx;

namespace {

template <class Read>
auto read_from(const std::string& yaml, Read read) {
  Document document = Document::parse(yaml, "d.yaml");
  auto result = read(document.root());
  document.finish();
  return result;
}

FailureClass class_of(const std::string& fields) {
  return read_from("classes:\n  - {name: x, rate: 1 /day, " + fields + "}\n", read_failures).classes.at(0);
}

RecoverySettings recovery_of(const std::string& yaml) { return read_from(yaml, read_recovery); }

CheckpointSettings checkpoint_of(const std::string& yaml) {
  return read_from(yaml, [](Section section) { return read_checkpoint(section); });
}

}  // namespace

TEST_CASE("a node is repaired in 40.4 h: 2 h for all and two days more for 0.8 of them") {
  // AIReSim params.py: 120 min automatic, 2 d manual, probability 0.8 of the second: 2 + 0.8 x 48.
  const RepairShop shop = recovery_of("repair: {}").shop;
  CHECK(shop.automatic == Seconds(120 * 60));
  CHECK(shop.manual == Seconds(2 * 86'400));
  CHECK(shop.manual_share == 0.8);
  CHECK(class_of("action: swap").repair.value ==
        Approx((shop.automatic + shop.manual * shop.manual_share).value).epsilon(1e-12));
  CHECK(class_of("action: swap").repair.value / 3600 == Approx(40.4).epsilon(1e-12));
}

TEST_CASE("two of five automatic repairs fix nothing, and one of five manual ones") {
  // AIReSim params.py: 0.4 and 0.2.
  const RepairShop shop = recovery_of("repair: {}").shop;
  CHECK(shop.staged);
  CHECK(shop.false_fix_automatic == 0.4);
  CHECK(shop.false_fix_manual == 0.2);
  CHECK(shop.retire == 0);
  CHECK(shop.crews == 0);
}

TEST_CASE(
    "a new node takes two weeks, tests of a node that was blamed wrongly two hours, a recurrence a day") {
  const RepairShop shop = recovery_of("repair: {}").shop;
  CHECK(shop.replacement == Seconds(14 * 86'400));
  CHECK(shop.suspect == Seconds(2 * 3600));
  CHECK(shop.recurrence == Seconds(86'400));
}

TEST_CASE("a recovery that is not described: 10 s, 3 min, 60 s, 60 s, and one in 140 needs people for 2 h") {
  // Detection of a crash 0.3-30 s; diagnosis below 10 min (MegaScale, NSDI'24); 3 of 419 interruptions needed people
  // (LLaMA-3, arXiv 2407.21783): 0.00716.
  const RecoverySettings s = recovery_of("{}");
  CHECK(s.detect == Seconds(10));
  CHECK(s.diagnose == Seconds(180));
  CHECK(s.start == Seconds(60));
  CHECK(s.warm_up == Seconds(60));
  CHECK(1000 * s.manual_probability == Approx(1000 * 3.0 / 419).epsilon(0.022));
  CHECK(1000 * s.manual_probability == Approx(7).epsilon(1e-12));
  CHECK(s.manual == Seconds(7200));
}

TEST_CASE("restart times spread by a lognormal factor of sigma 0.7, and so does a state with a mean alone") {
  const RecoverySettings s = recovery_of("detect: {mean: 30 s}");
  CHECK(s.spread == 0.7);
  REQUIRE(s.laws[0].has_value());
  CHECK(s.laws[0]->law == Law::lognormal);
  CHECK(s.laws[0]->shape == 0.7);
}

TEST_CASE("a cold node is there in 5 min, one that runs another job in 20 min") {
  // AIReSim params.py: preemption wait 20 min.
  const RecoverySettings s = recovery_of("{}");
  CHECK(s.cold_reschedule == Seconds(300));
  CHECK(s.preemption == Seconds(1200));
  for (const char* policy : {"restart", "cold_spare"})
    CHECK(find_recovery_policy(policy)->reschedule == Seconds(300));
  // TrainMover (OSDI'26): about 20 s onto a warm standby.
  for (const char* policy : {"hot_spare", "elastic", "in_memory", "in_process", "replicated"})
    CHECK(find_recovery_policy(policy)->reschedule == Seconds(20));
}

TEST_CASE(
    "elastic training stalls 30 s, rejoins in 3 min, keeps 99 % and loses at most half of the replicas") {
  // FT-HSDP (arXiv 2602.00277): 3 min; Gemini 2.5: tens of seconds, 97 % with a slice out.
  RecoverySettings s = recovery_of("policy: elastic");
  CHECK(s.stall == Seconds(30));
  CHECK(s.rejoin == Seconds(180));
  CHECK(s.elastic_overhead == 0.99);
  CHECK(s.replication == 2);
  CHECK(resolve(s, JobScale{64, 8, 8, 0}, FailureModel{}).max_lost == 4);
  CHECK(resolve(s, JobScale{64, 8, 7, 0}, FailureModel{}).max_lost == 3);
  CHECK(resolve(s, JobScale{64, 8, 1, 0}, FailureModel{}).max_lost == 0);
  s.max_lost = 100;  // one replica at least goes on
  CHECK(resolve(s, JobScale{64, 8, 8, 0}, FailureModel{}).max_lost == 7);
}

TEST_CASE("copies in memory: every minute, 50 ms of training each, two of them") {
  // 0.04 s a save (ByteRobust, SOSP'25, table 8); GEMINI (SOSP'23): m = 2.
  for (const CheckpointTier& tier :
       {recovery_of("{}").memory, checkpoint_of("tiers:\n  - {name: memory}\n").tiers.at(0)}) {
    CHECK(tier.kind == TierKind::peer_memory);
    CHECK(tier.interval == Seconds(60));
    CHECK(1000 * tier.block.value == Approx(50).epsilon(1e-12));
    CHECK(tier.copies == 2);
  }
}

TEST_CASE("a copy in memory moves bytes once over a node's network, loads in 10 s and is whole with 0.95") {
  // 70e9 x 14 B on 70 nodes: 14 GB a node at 100 GB/s: 0.14 s; with three copies twice that.
  JobScale scale{70, 8, 7, 70e9};
  scale.node_network = Bandwidth(100e9);
  const Bytes bytes(70e9 * 14);
  CheckpointTier tier;
  const CheckpointLevel two = level_of(tier, bytes, scale);
  CHECK(1000 * two.persist.value == Approx(140).epsilon(1e-12));
  CHECK(two.load == Seconds(10));
  CHECK(two.covers == 0.95);
  tier.copies = 3;
  CHECK(1000 * level_of(tier, bytes, scale).persist.value == Approx(280).epsilon(1e-12));
}

TEST_CASE(
    "a local disk takes 5 GB/s a node: 14 GB in 2.8 s; reading is no faster, at least 10 s; it is whole") {
  CheckpointTier tier;
  tier.kind = TierKind::local_disk;
  const JobScale scale{70, 8, 7, 70e9};
  const CheckpointLevel small = level_of(tier, Bytes(70 * 14e9), scale);
  CHECK(small.persist.value == Approx(2.8).epsilon(1e-12));
  CHECK(small.load == Seconds(10));
  CHECK(small.covers == 1);
  const CheckpointLevel large = level_of(tier, Bytes(70 * 55e9), scale);
  CHECK(large.load.value == Approx(11).epsilon(1e-12));
  tier.kind = TierKind::object_store;  // of the whole job
  CHECK(level_of(tier, Bytes(70 * 14e9), scale).persist.value == Approx(196).epsilon(1e-12));
}

TEST_CASE("a store that is not described takes and gives 100 GB/s, within the 50-200 measured") {
  // VAST: 85,000 saves; ByteCheckpoint 111 GB/s.
  const StorageSpec storage = read_from("{}", read_storage);
  CHECK(storage.kind == TierKind::parallel_fs);
  CHECK(storage.write == Bandwidth(100e9));
  CHECK(storage.read == Bandwidth(100e9));
  const CheckpointSettings s = checkpoint_of("{}");
  CHECK(s.write == Bandwidth(100e9));
  CHECK(s.read == Bandwidth(100e9));
  CHECK(s.interval == Seconds(600));
  CHECK(s.rule == IntervalRule::automatic);
}

TEST_CASE("an asynchronous save stops training for 2 s, a synchronous one until it is written") {
  const JobScale scale{64, 8, 8, 70e9};  // 980 GB at 100 GB/s: 9.8 s
  CHECK(resolve(checkpoint_of("{}"), scale, EventRate(0)).durable().block == Seconds(2));
  CHECK(resolve(checkpoint_of("mode: sync"), scale, EventRate(0)).durable().block.value ==
        Approx(9.8).epsilon(1e-12));
}

TEST_CASE("what an event does by itself: how long it lasts, when it is found, how far it goes back") {
  CHECK(class_of("domain: job, action: planned").duration == Seconds(600));
  // 27 jobs of 512 GPUs and more: mean 72 min (GREYHOUND, ATC'25).
  CHECK(class_of("action: slow, slowdown: 1.5").duration == Seconds(72 * 60));
  CHECK(class_of("action: slow, slowdown: 1.5, evict: true").detect == Seconds(3600));
  CHECK(class_of("domain: job, action: corrupt").detect == Seconds(8 * 3600));
  CHECK(class_of("domain: job, action: rollback").lookback == Seconds(3600));
  CHECK(class_of("domain: storage, action: outage").duration == Seconds(3600));
  CHECK(class_of("domain: link, action: stall").duration == Seconds(2));
  CHECK(class_of("action: preempt").notice == Seconds(120));  // AWS
}

TEST_CASE("new nodes fail three times as often, a factor e less each 30 days; lemons ten times") {
  const FailureModel model = read_from("{young: {}, lemons: {fraction: 0.1}}", read_failures);
  CHECK(model.young.factor == 3);
  CHECK(model.young.decay == Seconds(30 * 86'400));
  CHECK(model.young.age == Seconds(0));
  CHECK(model.lemons.multiplier == 10);
}

TEST_CASE(
    "places of a job: two nodes a leaf and a rack, 16 a row, 384 a pod, and 14 B of state a parameter") {
  // LLaMA-3 (arXiv 2407.21783, 3.3.1): two hosts a rack switch, pods of 3,072 GPUs. bf16 weights 2, fp32 master 4, Adam 8.
  const JobScale scale{1000};
  CHECK(scale.nodes_in(Domain::leaf) == 2);
  CHECK(scale.nodes_in(Domain::rack) == 2);
  CHECK(scale.nodes_in(Domain::row) == 16);
  CHECK(scale.nodes_in(Domain::pod) == 3072 / 8);
  CHECK(scale.nodes_in(Domain::facility) == 1000);
  CHECK(scale.bytes_per_parameter == 2 + 4 + 8);
}
