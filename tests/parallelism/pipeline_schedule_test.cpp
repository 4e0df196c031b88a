// The orders of the pipeline schedules, their peaks in flight and their refusals. Makespans are in
// pipeline_execution_test.cpp.
#include "parallelism/pipeline_schedule.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "sim/error.hpp"

namespace runcast {
namespace {

PipelineSchedule build(std::string_view name, ScheduleRequest request) {
  const ScheduleRow* row = find_schedule(name);
  REQUIRE(row != nullptr);
  REQUIRE(row->refuse(request) == "");
  return row->build(request);
}

std::string refusal(std::string_view name, ScheduleRequest request) {
  return find_schedule(name)->refuse(request);
}

// "F0 B0" of the first chunk, "f0 b0" of the second; [F1 b0] is a forward_backward.
std::string text(const std::vector<Slot>& slots) {
  const auto letter = [](const char* upper, const char* lower, int chunk) {
    return chunk == 0 ? upper : lower;
  };
  std::string all;
  for (const Slot& s : slots) {
    const std::string i = std::to_string(s.microbatch);
    if (!all.empty()) all += " ";
    switch (s.pass) {
      case Pass::forward:
        all += letter("F", "f", s.chunk) + i;
        break;
      case Pass::backward:
        all += letter("B", "b", s.chunk) + i;
        break;
      case Pass::input_gradient:
        all += letter("I", "i", s.chunk) + i;
        break;
      case Pass::weight_gradient:
        all += letter("W", "w", s.chunk) + i;
        break;
      case Pass::forward_backward:
        all += "[" + (letter("F", "f", s.chunk) + i) + " " +
               (letter("B", "b", s.backward_chunk) + std::to_string(s.backward_microbatch)) + "]";
    }
  }
  return all;
}

// ---- orders ---------------------------------------------------------------------------------------------

TEST_CASE("the table has eight schedules, each with a sentence, found by name") {
  CHECK(pipeline_schedules().size() == 8);
  for (const ScheduleRow& row : pipeline_schedules()) {
    CHECK(find_schedule(row.name) == &row);
    CHECK(row.sentence.size() > 40);
  }
  CHECK(find_schedule("1F1B") == nullptr);
}

TEST_CASE("gpipe runs its backwards in reverse") {
  CHECK(text(build("gpipe", {.ranks = 2, .microbatches = 3}).slots[1]) == "F0 F1 F2 B2 B1 B0");
}

TEST_CASE("1f1b of 4 ranks warms up 3, 2, 1 and 0 forwards") {
  // Narayanan et al. 2021, fig. 4: p - 1 - r forwards, then a forward and a backward in turn.
  const PipelineSchedule schedule = build("1f1b", {.ranks = 4, .microbatches = 4});
  CHECK(text(schedule.slots[0]) == "F0 F1 F2 F3 B0 B1 B2 B3");
  CHECK(text(schedule.slots[2]) == "F0 F1 B0 F2 B1 F3 B2 B3");
  CHECK(text(schedule.slots[3]) == "F0 B0 F1 B1 F2 B2 F3 B3");
}

TEST_CASE("interleaved 1f1b follows Megatron's table: 2 ranks, N = 3, m = 5, v = 2") {
  // Megatron-LM schedules.py: micro-batches 0 1 2 0 1 2 3 4 3 4, chunks 0 0 0 1 1 1 0 0 1 1. Rank 1 warms up
  // 2(2-1-1) + (2-1)3 = 3 forwards, rank 0 5; backwards are the table with the chunks exchanged.
  const PipelineSchedule schedule =
      build("interleaved_1f1b", {.ranks = 2, .microbatches = 5, .chunks = 2, .group_size = 3});
  CHECK(text(schedule.slots[1]) == "F0 F1 F2 f0 b0 f1 b1 f2 b2 F3 B0 F4 B1 f3 B2 f4 b3 b4 B3 B4");
  CHECK(text(schedule.slots[0]) == "F0 F1 F2 f0 f1 f2 b0 F3 b1 F4 b2 f3 B0 f4 B1 B2 b3 b4 B3 B4");
  CHECK(schedule.slots[0][3].stage == 2);
  CHECK(schedule.slots[1][3].stage == 3);
}

TEST_CASE("an extra warm-up forward moves every pair by one") {
  const ScheduleRequest request{.ranks = 2, .microbatches = 4, .chunks = 2, .extra_warmup = true};
  CHECK(text(build("interleaved_1f1b", request).slots[1]).starts_with("F0 F1 f0 f1 b0 F2 b1"));
}

TEST_CASE("zb_h1 puts a weight gradient off by r micro-batches, zb_h2 by 2r") {
  // Qi et al. 2023, fig. 3.
  CHECK(text(build("zb_h1", {.ranks = 2, .microbatches = 3}).slots[0]) == "F0 F1 I0 W0 F2 I1 W1 I2 W2");
  CHECK(text(build("zb_h1", {.ranks = 2, .microbatches = 3}).slots[1]) == "F0 I0 F1 I1 W0 F2 I2 W1 W2");
  CHECK(text(build("zb_h2", {.ranks = 2, .microbatches = 4}).slots[0]) ==
        "F0 F1 F2 I0 W0 F3 I1 W1 I2 W2 I3 W3");
  CHECK(text(build("zb_h2", {.ranks = 2, .microbatches = 4}).slots[1]) ==
        "F0 I0 F1 I1 F2 I2 W0 F3 I3 W1 W2 W3");
}

TEST_CASE("zb_v goes down with chunk 0 and up with chunk 1") {
  const PipelineSchedule schedule = build("zb_v", {.ranks = 2, .microbatches = 4, .chunks = 2});
  CHECK(text(schedule.slots[0]) == "F0 F1 F2 f0 i0 w0 f1 i1 w1 F3 I0 W0 f2 i2 w2 I1 W1 f3 i3 w3 I2 W2 I3 W3");
  CHECK(text(schedule.slots[1]) == "F0 f0 F1 f1 i0 w0 F2 I0 W0 f2 i1 w1 F3 I1 W1 f3 i2 w2 I2 i3 I3 W2 w3 W3");
  CHECK(schedule.rank_of_stage[0] == std::vector<int>{0, 1, 1, 0});
}

TEST_CASE("dualpipe of 4 ranks: rank 0 and its mirror, rank 3, differ by the direction alone") {
  // DualPipe repository, p = 4, m = 8, so P = 2, q = 0: steps of 2, 1+1, 1, 1, 1, 1, 1, 1.
  const PipelineSchedule schedule = build("dualpipe", {.ranks = 4, .microbatches = 8, .chunks = 2});
  CHECK(text(schedule.slots[0]) == "F0 F1 F2 f4 i4 w4 f5 [F3 b5] [f6 B0] b6 [f7 B1] b7 I2 W2 I3 W3");
  CHECK(text(schedule.slots[3]) == "f4 f5 f6 F0 I0 W0 F1 [f7 B1] [F2 b4] B2 [F3 b5] B3 i6 w6 i7 w7");
  CHECK(schedule.rank_of_stage[1] == std::vector<int>{3, 2, 1, 0});
  CHECK(schedule.direction_of_microbatch == std::vector<int>{0, 0, 0, 0, 1, 1, 1, 1});
  CHECK(schedule.stages == 4);
}

TEST_CASE("dualpipe's middle ranks and dualpipe_v's last one run their first pair apart") {
  // q = 1, so the backwards of step 6 are split from its second pair on, and steps 1, 3, 5 and 7 are empty.
  CHECK(text(build("dualpipe", {.ranks = 4, .microbatches = 8}).slots[1]) ==
        "F0 f4 F1 f5 F2 b4 [f6 B0] [F3 b5] [f7 B1] b6 B2 i7 I3 w7 W3");
  // q = 0: split after the first backward.
  CHECK(text(build("dualpipe_v", {.ranks = 1, .microbatches = 2}).slots[0]) ==
        "F0 f0 F1 b0 [f1 B0] b1 I1 W1");
}

// ---- what holds for all ---------------------------------------------------------------------------------

// Counts each pass of each (stage, micro-batch) and checks rank, chunk and order on the rank.
void check_visits(const PipelineSchedule& schedule) {
  struct Visit {
    int forward = 0, input_gradient = 0, weight_gradient = 0;
  };
  const auto m = static_cast<std::size_t>(schedule.microbatches);
  std::vector<Visit> visits(static_cast<std::size_t>(schedule.stages) * m);
  int bad = 0;
  const auto visit = [&](int rank, int stage, int microbatch) -> Visit& {
    const int direction = schedule.direction_of_microbatch[static_cast<std::size_t>(microbatch)];
    bad +=
        schedule.rank_of_stage[static_cast<std::size_t>(direction)][static_cast<std::size_t>(stage)] != rank;
    return visits[static_cast<std::size_t>(stage) * m + static_cast<std::size_t>(microbatch)];
  };
  for (int rank = 0; rank < schedule.ranks; ++rank) {
    for (const Slot& s : schedule.slots[static_cast<std::size_t>(rank)]) {
      const bool both = s.pass == Pass::forward_backward;
      bad += s.chunk < 0 || s.chunk >= schedule.chunks;
      if (s.pass == Pass::forward || both) ++visit(rank, s.stage, s.microbatch).forward;
      if (s.pass == Pass::weight_gradient) {
        Visit& v = visit(rank, s.stage, s.microbatch);
        bad += v.input_gradient != 1;  // W after I
        ++v.weight_gradient;
      }
      if (s.pass == Pass::input_gradient || s.pass == Pass::backward || both) {
        Visit& v =
            both ? visit(rank, s.backward_stage, s.backward_microbatch) : visit(rank, s.stage, s.microbatch);
        bad += v.forward != 1;  // a backward after its forward
        ++v.input_gradient;
        v.weight_gradient += s.pass != Pass::input_gradient;
      }
    }
  }
  for (const Visit& v : visits) bad += v.forward != 1 || v.input_gradient != 1 || v.weight_gradient != 1;
  CHECK(bad == 0);
}

TEST_CASE("every micro-batch visits each stage forward, then backward, exactly once, in every schedule") {
  int scheduled = 0;
  for (const ScheduleRow& row : pipeline_schedules()) {
    for (int p = 1; p <= 10; ++p) {
      for (int m = 1; m <= 24; ++m) {
        for (int v : {1, 2, 3, 5}) {
          for (int group : {0, 1, 3, 4, 7}) {
            const ScheduleRequest request{.ranks = p, .microbatches = m, .chunks = v, .group_size = group};
            if (!row.refuse(request).empty()) continue;
            CAPTURE(row.name);
            CAPTURE(p);
            CAPTURE(m);
            CAPTURE(v);
            CAPTURE(group);
            check_visits(row.build(request));
            ++scheduled;
          }
        }
      }
    }
  }
  CHECK(scheduled > 3000);
}

TEST_CASE("peaks in flight: gpipe m, 1f1b p-r, zb_h1 p, zb_h2 2p-1, zb_v 2p, dualpipe p+1, dualpipe_v 2p+1") {
  for (int p = 2; p <= 8; p += 2) {
    const int m = 3 * p;
    const auto peaks = [&](std::string_view name, bool until_weight) {
      return peak_chunks_in_flight(build(name, {.ranks = p, .microbatches = m}), until_weight);
    };
    for (int r = 0; r < p; ++r) {
      const auto i = static_cast<std::size_t>(r);
      CHECK(peaks("gpipe", true)[i] == m);
      CHECK(peaks("1f1b", true)[i] == p - r);
      CHECK(peaks("zb_h1", false)[i] == p - r);
      CHECK(peaks("zb_h1", true)[i] == p);
      CHECK(peaks("zb_h2", false)[i] == 2 * (p - r) - 1);
      CHECK(peaks("zb_h2", true)[i] == 2 * p - 1);
      CHECK(peaks("zb_v", true)[i] == 2 * p);
      CHECK(peaks("dualpipe", true)[i] == p + 1);
      CHECK(peaks("dualpipe_v", true)[i] == 2 * p + 1);
    }
  }
}

TEST_CASE("interleaved 1f1b has min(mv, 2(p-1-r) + (v-1)N + 1) chunks in flight") {
  for (int p = 1; p <= 8; ++p) {
    for (int v = 2; v <= 4; ++v) {
      for (int group : {p, p + 3, 2 * p}) {
        const int m = 2 * group;
        const auto peaks = peak_chunks_in_flight(
            build("interleaved_1f1b", {.ranks = p, .microbatches = m, .chunks = v, .group_size = group}),
            true);
        for (int r = 0; r < p; ++r) {
          CHECK(peaks[static_cast<std::size_t>(r)] == std::min(m * v, 2 * (p - 1 - r) + (v - 1) * group + 1));
        }
      }
    }
  }
}

// ---- group sizes ----------------------------------------------------------------------------------------

TEST_CASE("a group size of 0 is p, or the next larger one that leaves no group smaller than p") {
  const auto chosen = [](int p, int m) {
    return interleaving_group_size({.ranks = p, .microbatches = m, .chunks = 2});
  };
  CHECK(chosen(4, 8) == 4);
  CHECK(chosen(4, 2) == 4);   // one group of 2
  CHECK(chosen(4, 5) == 5);   // 4 would leave 1
  CHECK(chosen(4, 9) == 5);   // leaves 4
  CHECK(chosen(4, 11) == 6);  // 4 leaves 3, 5 leaves 1, 6 leaves 5
  CHECK(chosen(16, 31) == 31);
}

TEST_CASE("no micro-batch count is refused when the group size is left to the schedule") {
  for (int p = 1; p <= 12; ++p) {
    for (int v = 2; v <= 5; ++v) {
      for (int m = 1; m <= 40; ++m) {
        CHECK(refusal("interleaved_1f1b", {.ranks = p, .microbatches = m, .chunks = v}) == "");
      }
    }
  }
}

// ---- refusals -------------------------------------------------------------------------------------------

TEST_CASE("a short group is refused only where ranks wait for each other for ever") {
  // 8 = 6 + 2 runs with two chunks, at the price of a bubble; 5 = 4 + 1 with three chunks cannot.
  CHECK(refusal("interleaved_1f1b", {.ranks = 4, .microbatches = 8, .chunks = 2, .group_size = 6}) == "");
  CHECK(refusal("interleaved_1f1b", {.ranks = 4, .microbatches = 5, .chunks = 3, .group_size = 4}) ==
        "interleaved_1f1b with group_size 4 leaves a group of fewer micro-batches than the 4 pipeline ranks, "
        "which "
        "wait for each other for ever; the next larger legal group_size is 5");
}

TEST_CASE("virtual stages that a schedule does not have are refused with the legal ones") {
  CHECK(refusal("1f1b", {.ranks = 4, .microbatches = 8, .chunks = 2}) ==
        "1f1b has 1 virtual stage a rank, not 2; for more use interleaved_1f1b");
  CHECK(refusal("interleaved_1f1b", {.ranks = 4, .microbatches = 8, .chunks = 1}) ==
        "interleaved_1f1b needs 2 or more virtual stages a rank, not 1; for 1 use 1f1b");
  CHECK(refusal("zb_v", {.ranks = 4, .microbatches = 8, .chunks = 3}) ==
        "zb_v has 2 virtual stages a rank, not 3; legal: 2 (1 is read as 2)");
}

TEST_CASE("too few micro-batches are refused with the least number") {
  CHECK(refusal("zb_h2", {.ranks = 4, .microbatches = 6}) ==
        "zb_h2 needs 2p-1 = 7 or more micro-batches on 4 pipeline ranks, not 6");
  CHECK(refusal("zb_v", {.ranks = 8, .microbatches = 8, .chunks = 2}) ==
        "zb_v needs 2p-1 = 15 or more micro-batches on 8 pipeline ranks, not 8");
  CHECK(refusal("dualpipe", {.ranks = 4, .microbatches = 6, .chunks = 2}) ==
        "dualpipe needs 2p = 8 or more micro-batches on 4 pipeline ranks, not 6");
  CHECK(refusal("dualpipe_v", {.ranks = 4, .microbatches = 7, .chunks = 2}) ==
        "dualpipe_v needs 2p = 8 or more micro-batches on 4 pipeline ranks, not 7");
}

TEST_CASE("dualpipe wants even ranks and even micro-batches") {
  CHECK(refusal("dualpipe", {.ranks = 5, .microbatches = 20}) ==
        "dualpipe needs an even number of pipeline ranks, not 5; dualpipe_v takes any");
  CHECK(refusal("dualpipe", {.ranks = 4, .microbatches = 9}) ==
        "dualpipe needs an even number of micro-batches, half for each direction, not 9");
}

TEST_CASE("what only interleaving has is refused elsewhere") {
  CHECK(refusal("gpipe", {.ranks = 4, .microbatches = 8, .group_size = 4}) ==
        "gpipe has no group size; only interleaved_1f1b takes one");
  CHECK(refusal("zb_h1", {.ranks = 4, .microbatches = 8, .extra_warmup = true}) ==
        "zb_h1 has no extra warm-up forward; only 1f1b and interleaved_1f1b take one");
}

TEST_CASE("group sizes below 1 and more than 1000 virtual stages are refused") {
  CHECK(refusal("interleaved_1f1b", {.ranks = 4, .microbatches = 8, .chunks = 2, .group_size = -1}) ==
        "a group_size is 1 or more micro-batches, not -1");
  CHECK(refusal("interleaved_1f1b", {.ranks = 4, .microbatches = 8, .chunks = 1001}) ==
        "interleaved_1f1b takes at most 1000 virtual stages a rank, not 1001");
}

TEST_CASE("nothing and too much are refused by every schedule") {
  for (const ScheduleRow& row : pipeline_schedules()) {
    CHECK(row.refuse({.ranks = 0, .microbatches = 8}) ==
          "a pipeline needs 1 or more ranks and 1 or more micro-batches, not 0 and 8");
    CHECK(row.refuse({.ranks = 1000, .microbatches = 100'000, .chunks = 2}) ==
          "1000 ranks x 100000 micro-batches x 2 virtual stages are more than 20000000 slots; use fewer");
  }
}

// A forward, a backward and a weight gradient of two chunks: 6 slots a rank and micro-batch, 19,999,998 and 20,000,004.
TEST_CASE("a schedule holds 20 million slots, six of each rank and micro-batch") {
  const ScheduleRow* row = find_schedule("gpipe");
  CHECK(row->refuse({.ranks = 1, .microbatches = 3'333'333}).empty());
  CHECK_FALSE(row->refuse({.ranks = 1, .microbatches = 3'333'334}).empty());
}

TEST_CASE("building what is refused is an internal error") {
  CHECK_THROWS_AS(find_schedule("zb_v")->build({.ranks = 4, .microbatches = 4, .chunks = 2}), InternalError);
}

}  // namespace
}  // namespace runcast
