// Chakra traces, read again by a decoder of our own that knows only the wire format of protocol buffers.
#include "scenarios/interchange/chakra.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "scenarios/experiment.hpp"
#include "tests/scenarios/experiment_helpers.hpp"

namespace runcast {

namespace {

std::uint64_t varint(const std::string& bytes, std::size_t& at) {
  std::uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    if (at >= bytes.size()) throw std::runtime_error("a varint has no end");
    const auto byte = static_cast<unsigned char>(bytes[at++]);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

struct Field {
  std::uint64_t number = 0;
  std::string bytes;
};
std::multimap<int, Field> fields_of(const std::string& message) {
  std::multimap<int, Field> fields;
  for (std::size_t at = 0; at < message.size();) {
    const std::uint64_t tag = varint(message, at);
    Field field;
    if ((tag & 7) != 0 && (tag & 7) != 2) throw std::runtime_error("an unknown wire type");
    field.number = varint(message, at);
    if ((tag & 7) == 2) {
      if (at + field.number > message.size()) throw std::runtime_error("a field is cut");
      field.bytes = message.substr(at, field.number);
      at += field.number;
    }
    fields.emplace(static_cast<int>(tag >> 3), field);
  }
  return fields;
}

struct DecodedNode {
  std::uint64_t id = 0, type = 0, duration = 0;
  std::string name;
  std::vector<std::uint64_t> waits;
  std::map<std::string, std::uint64_t> numbers;
  std::map<std::string, std::string> texts;
};

// et_def.proto: Node 1 id, 2 name, 3 type, 5 data_deps, 7 duration_micros, 10 attr; AttributeProto 1 name, 7 int32,
// 9 int64, 27 bool, 29 string.
std::vector<DecodedNode> decode(const std::string& file) {
  std::vector<DecodedNode> nodes;
  std::size_t at = 0;
  for (bool first = true; at < file.size(); first = false) {
    const std::uint64_t size = varint(file, at);
    REQUIRE(at + size <= file.size());
    const auto fields = fields_of(file.substr(at, size));
    at += size;
    if (first) {
      CHECK(fields.find(1)->second.bytes == "0.0.4");
      continue;
    }
    DecodedNode node;
    for (const auto& [number, field] : fields) {
      if (number == 1) node.id = field.number;
      if (number == 2) node.name = field.bytes;
      if (number == 3) node.type = field.number;
      if (number == 7) node.duration = field.number;
      if (number == 5)
        for (std::size_t i = 0; i < field.bytes.size();) node.waits.push_back(varint(field.bytes, i));
      if (number != 10) continue;
      const auto attribute = fields_of(field.bytes);
      const std::string name = attribute.find(1)->second.bytes;
      for (const auto& [kind, value] : attribute) {
        if (kind == 7 || kind == 9 || kind == 27) node.numbers[name] = value.number;
        if (kind == 29) node.texts[name] = value.bytes;
      }
    }
    nodes.push_back(node);
  }
  return nodes;
}

constexpr std::uint64_t kCompute = 4, kSend = 5, kReceive = 6, kCollective = 7;

Scenario small(const std::vector<std::string>& sets = {}) {
  std::vector<std::string> all = {"cluster.nodes=2", "layout.pipeline=4", "layout.tensor=2",
                                  "training.global_batch=16", "cluster.fabric=infiniband-ndr-rail"};
  all.insert(all.end(), sets.begin(), sets.end());
  Document document = library_run("one-node", all);
  return read_scenario(document, Library());
}

}  // namespace

TEST_CASE("a varint is seven bits a byte, the lowest first: 300 is ac 02") {
  std::string out;
  detail::ProtobufWriter::append_varint(out, 300);
  CHECK(out == "\xac\x02");  // protobuf.dev, encoding, "Base 128 Varints"
  detail::ProtobufWriter writer;
  writer.number(1, 150);
  writer.text(2, "testing");
  CHECK(writer.bytes() == std::string("\x08\x96\x01\x12\x07testing"));  // its examples
}

TEST_CASE("the durations of a rank's computations sum to its compute, to the microsecond") {
  const StepTimeline timeline = timeline_of(small(), 1, false, TimelineLevel::op);
  const ChakraExport chakra(timeline);
  for (int rank = 0; rank < timeline.layout().world(); ++rank) {
    std::uint64_t sum = 0;
    for (const DecodedNode& node : decode(chakra.trace(RankId(rank)))) sum += node.duration;
    const Duration compute = chakra.compute(RankId(rank));
    CHECK(static_cast<std::int64_t>(sum) == compute.ns / 1000);
    // All of the step but its communication and waiting: kernels, optimizer and fixed time.
    const StepBreakdown& b = timeline.step().breakdown;
    if (RankId(rank) == timeline.last())
      CHECK(to_seconds(compute).value ==
            doctest::Approx(to_seconds(b.compute + b.optimizer + b.other).value).epsilon(0.05));
  }
}

TEST_CASE("dependencies point backwards, and each message has one sender and one receiver with its tag") {
  const StepTimeline timeline = timeline_of(small(), 1, false, TimelineLevel::op);
  const ChakraExport chakra(timeline);
  std::map<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>, std::pair<int, int>> messages;
  for (int rank = 0; rank < timeline.layout().world(); ++rank) {
    std::set<std::uint64_t> known;
    for (const DecodedNode& node : decode(chakra.trace(RankId(rank)))) {
      for (const std::uint64_t wait : node.waits) CHECK(known.contains(wait));
      CHECK(known.insert(node.id).second);
      CHECK(node.numbers.at("is_cpu_op") == 0);
      if (node.type != kSend && node.type != kReceive) continue;
      CHECK(node.numbers.at(node.type == kSend ? "comm_src" : "comm_dst") ==
            static_cast<std::uint64_t>(rank));
      // 8,192 tokens of 4,096 in 16 bits over tensor 2, sequence parallel
      CHECK(node.numbers.at("comm_size") == 8192ULL * 4096 * 2 / 2);
      auto& [sends, receives] =
          messages[{node.numbers.at("comm_src"), node.numbers.at("comm_dst"), node.numbers.at("comm_tag")}];
      ++(node.type == kSend ? sends : receives);
    }
  }
  // 16 GPUs: 2 replicas x 2 tensor ranks, 8 micro-batches over 3 boundaries both ways
  CHECK(messages.size() == 2ULL * 2 * 8 * 3 * 2);
  for (const auto& [message, ends] : messages) CHECK(ends == std::pair(1, 1));
}

TEST_CASE(
    "a collective names a group of the JSON file that its rank is in, and all members have the same ones") {
  for (const auto& sets :
       {std::vector<std::string>{},
        {"model=mixtral-8x7b", "layout.pipeline=1", "layout.expert=4", "layout.tensor=2"}}) {
    const StepTimeline timeline = timeline_of(small(sets), 1, false, TimelineLevel::op);
    const ChakraExport chakra(timeline);
    const auto groups = nlohmann::json::parse(chakra.groups());
    std::map<std::string, std::map<int, std::vector<std::pair<std::uint64_t, std::uint64_t>>>> issued;
    std::set<std::uint64_t> types;
    for (int rank = 0; rank < timeline.layout().world(); ++rank)
      for (const DecodedNode& node : decode(chakra.trace(RankId(rank)))) {
        if (node.type != kCollective) continue;
        const std::string group = node.texts.at("pg_name");
        REQUIRE(groups.contains(group));
        const auto members = groups[group].get<std::vector<int>>();
        CHECK(std::ranges::find(members, rank) != members.end());
        CHECK(node.numbers.at("comm_size") > 0);
        types.insert(node.numbers.at("comm_type"));
        issued[group][rank].emplace_back(node.numbers.at("comm_type"), node.numbers.at("comm_size"));
      }
    for (const auto& [group, by_rank] : issued) {
      CHECK(by_rank.size() == groups[group].size());
      for (const auto& [rank, list] : by_rank) CHECK(list == by_rank.begin()->second);
    }
    CHECK(types.contains(2));                   // all-gather
    CHECK(types.contains(7));                   // reduce-scatter
    CHECK(types.contains(6) == !sets.empty());  // all-to-all of experts
  }
}

TEST_CASE("the tensor-parallel bytes of the nodes are those of the step's account") {
  const StepTimeline timeline = timeline_of(small(), 1, false, TimelineLevel::op);
  const ChakraExport chakra(timeline);
  std::map<std::uint64_t, double> by_type;
  std::string data_group;
  const auto nodes = decode(chakra.trace(timeline.last()));
  const auto groups = nlohmann::json::parse(chakra.groups());
  for (const DecodedNode& node : nodes)
    if (node.type == kCollective && groups[node.texts.at("pg_name")].size() == 2 &&
        std::abs(groups[node.texts.at("pg_name")][0].get<int>() -
                 groups[node.texts.at("pg_name")][1].get<int>()) == 1)
      by_type[node.numbers.at("comm_type")] += static_cast<double>(node.numbers.at("comm_size"));
  for (const CommunicationTotal& c : timeline.step().communication) {
    if (c.group != "tensor") continue;
    CAPTURE(c.collective);
    const std::uint64_t type = c.collective == "all_gather" ? 2 : c.collective == "reduce_scatter" ? 7 : 0;
    CHECK(by_type[type] == doctest::Approx(c.bytes_per_rank.value).epsilon(1e-6));
  }
}

TEST_CASE(
    "a rank's computations wait for what they received: no cycle and nothing that never ends between ranks") {
  // A replay of all traces at once: a node may run when what it waits for has; a receive when its send has.
  const StepTimeline timeline = timeline_of(small(), 1, false, TimelineLevel::op);
  const ChakraExport chakra(timeline);
  std::vector<std::vector<DecodedNode>> ranks;
  for (int rank = 0; rank < timeline.layout().world(); ++rank)
    ranks.push_back(decode(chakra.trace(RankId(rank))));
  std::vector<std::set<std::uint64_t>> done(ranks.size());
  std::set<std::pair<std::uint64_t, std::uint64_t>> sent;  // receiver, tag
  std::size_t left = 0;
  for (const auto& nodes : ranks) left += nodes.size();
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t r = 0; r < ranks.size(); ++r)
      for (const DecodedNode& node : ranks[r]) {
        if (done[r].contains(node.id)) continue;
        const bool ready =
            std::ranges::all_of(node.waits, [&](std::uint64_t w) { return done[r].contains(w); });
        if (!ready || (node.type == kReceive && !sent.contains({r, node.numbers.at("comm_tag")}))) continue;
        if (node.type == kSend) sent.insert({node.numbers.at("comm_dst"), node.numbers.at("comm_tag")});
        done[r].insert(node.id);
        moved = true;
        --left;
      }
  }
  CHECK(left == 0);
  // The pipeline is in it: the last stage's first computation of a micro-batch needs something received.
  const auto& last = ranks[static_cast<std::size_t>(timeline.layout().rank(0, 0, 3, 0).value)];
  const auto first = std::ranges::find(last, kCompute, &DecodedNode::type);
  REQUIRE(first != last.end());
  CHECK(std::ranges::any_of(first->waits, [&](std::uint64_t w) {
    return std::ranges::any_of(last, [&](const DecodedNode& n) { return n.id == w && n.type == kReceive; });
  }));
}

}  // namespace runcast
