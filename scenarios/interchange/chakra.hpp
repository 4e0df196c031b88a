// A step as Chakra execution traces, one of each rank, for ASTRA-sim: PREFIX.RANK.et holds length-delimited protobuf
// messages, a GlobalMetadata and then the Nodes; PREFIX.json holds the communicator groups.
//   COMP_NODE       kernels between two communications, duration in microseconds; their sum is the rank's compute
//   COMM_COLL_NODE  tensor, context, expert and data-parallel collectives: comm_type, comm_size (full tensor), pg_name
//   COMM_SEND_NODE, COMM_RECV_NODE  messages between pipeline stages, joined by comm_tag
//   data_deps       a computation waits for the one before it and for what it receives; a collective for the kernels
//                   before it; the optimizer for reduced gradients
// Times of communication are left out, since the simulator that reads the traces makes its own.
// Leaves out: what ZeRO-3 moves (it is inside the compute), memory, kernels' FLOPs (a trace is replayed, not priced).
// Source: mlcommons/chakra, schema/protobuf/et_def.proto (0.0.4); astra-sim, workload/Workload.cc.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "parallelism/step_timeline.hpp"

namespace runcast {

// Timeline at level op.
class ChakraExport {
 public:
  explicit ChakraExport(const StepTimeline&);

  // The file of a rank.
  std::string trace(RankId) const;
  // {"1": [0, 1, ...], ...}: every group that a collective of any rank runs over.
  std::string groups() const;
  // Of all kernels of the rank.
  Duration compute(RankId) const;

 private:
  enum class Kind { compute, collective, send, receive };
  struct Node {
    Kind kind = Kind::compute;
    std::string name;
    Time start, end;
    CommunicationGroup group = CommunicationGroup::data;
    Collective collective = Collective::all_gather;
    Bytes size{};
    int peer = 0;  // pipeline rank
    std::int64_t tag = 0;
    std::int64_t duration_us = 0;
    std::vector<std::uint64_t> waits_for;  // nodes before it in the list
  };
  std::vector<Node> nodes_of(RankId) const;
  const std::vector<Node>& template_of(RankId) const;
  std::vector<int> members(RankId, CommunicationGroup) const;
  int group_id(RankId, CommunicationGroup) const;

  const StepTimeline& timeline_;
  std::vector<std::vector<Node>> of_stage_;  // [pipeline rank]: all its ranks do the same
  std::vector<std::vector<int>> groups_;     // [id - 1]
  std::vector<std::vector<int>> group_of_;   // [kind][rank], id; 0: alone
};

namespace detail {

// A message of protocol buffers: https://protobuf.dev/programming-guides/encoding
class ProtobufWriter {
 public:
  void number(int field, std::uint64_t value);
  void text(int field, std::string_view value);
  void numbers(int field, const std::vector<std::uint64_t>& values);  // packed
  const std::string& bytes() const { return bytes_; }
  static void append_varint(std::string& out, std::uint64_t value);

 private:
  std::string bytes_;
};

}  // namespace detail
}  // namespace runcast
