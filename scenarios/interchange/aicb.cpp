// Reading of the rows, what they tell of the model, and the comparison.
#include "scenarios/interchange/aicb.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "scenarios/experiment.hpp"
#include "scenarios/interchange/yaml_text.hpp"
#include "scenarios/library_entries.hpp"
#include "sim/error.hpp"

namespace runcast {

namespace {

constexpr std::size_t kColumns = 12;
constexpr std::int64_t kMaxDegree = 10'000'000;

struct AicbCollective {
  std::string kind;  // "NONE", "ALLREDUCE", "ALLTOALL_EP", ...
  double bytes = 0;
  bool is(std::string_view word) const { return kind.starts_with(word); }
};
struct AicbRow {
  std::string name;
  AicbCollective forward, backward, data;
};
struct AicbText {
  std::map<std::string, std::int64_t, std::less<>> header;
  std::vector<AicbRow> rows;
};

[[noreturn]] void refuse(const std::string& where, int line, const std::string& sentence) {
  throw ConfigError(fmt::format("{}:{}: {}", where, line, sentence));
}

double number_at(const std::string& where, int line, const std::string& word) {
  char* end = nullptr;
  const double value = std::strtod(word.c_str(), &end);
  if (word.empty() || *end != '\0' || !(value >= -1 && value <= 1e18))
    refuse(where, line, fmt::format("'{}' is no number of a workload", word));
  return value;
}

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  std::istringstream in(line);
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

// "key: value" pairs after the strategy; the colon may stand apart.
void read_header(const std::vector<std::string>& words, const std::string& where, AicbText& out) {
  if (words.empty() || words[0] != "HYBRID_TRANSFORMER_FWD_IN_BCKWD")
    refuse(where, 1,
           fmt::format("a workload of AICB begins with HYBRID_TRANSFORMER_FWD_IN_BCKWD, not '{}'",
                       words.empty() ? "" : words[0]));
  for (std::size_t i = 1; i + 1 < words.size(); i += 2) {
    std::string key = words[i];
    if (key.ends_with(':')) key.pop_back();
    const double value = number_at(where, 1, words[i + 1]);
    if (key != "pp_comm" && (value < 0 || value > static_cast<double>(kMaxDegree)))
      refuse(where, 1, fmt::format("{} cannot be {}", key, words[i + 1]));
    out.header[key] = static_cast<std::int64_t>(std::clamp(value, 0.0, 1e15));
  }
}

AicbText read_rows(const std::string& text, const std::string& where) {
  AicbText out;
  std::istringstream in(text);
  std::string line;
  int number = 0;
  double announced = -1;
  while (std::getline(in, line)) {
    ++number;
    const std::vector<std::string> words = words_of(line);
    if (number == 1) {
      read_header(words, where, out);
    } else if (words.empty()) {
      continue;
    } else if (announced < 0) {
      if (words.size() != 1) refuse(where, number, "the second line is the number of rows");
      announced = number_at(where, number, words[0]);
    } else {
      if (words.size() != kColumns)
        refuse(where, number, fmt::format("a row has {} columns, not {}", kColumns, words.size()));
      const auto at = [&](std::size_t i) {
        return AicbCollective{words[i], std::max(0.0, number_at(where, number, words[i + 1]))};
      };
      out.rows.push_back({words[0], at(3), at(6), at(9)});
    }
  }
  if (number == 0) refuse(where, 1, "is empty");
  if (announced < 0 || out.rows.empty()) refuse(where, number, "there is no row below the header");
  if (static_cast<double>(out.rows.size()) != announced)
    refuse(where, number, fmt::format("there are {} rows, but line 2 says {}", out.rows.size(), announced));
  return out;
}

std::int64_t header_or(const AicbText& text, std::string_view key, std::int64_t fallback) {
  const auto found = text.header.find(key);
  return found == text.header.end() ? fallback : std::max<std::int64_t>(1, found->second);
}

bool is_tensor(const AicbCollective& c) {
  return c.kind == "ALLREDUCE" || c.kind == "ALLGATHER" || c.kind == "REDUCESCATTER" || c.kind == "ALLTOALL";
}

void add_volume(const AicbRow& row, AicbVolumes& v) {
  const bool of_parameters = row.name.starts_with("grad_") || row.name.starts_with("moe_grad") ||
                             row.name == "norm" || row.name == "layernorm" || row.name == "embedding_norm";
  for (const AicbCollective* c : {&row.forward, &row.backward}) {
    if (c->is("ALLTOALL_EP")) v.expert += c->bytes;
    if (is_tensor(*c) && !of_parameters) v.tensor += c->bytes;
    if (row.name == "grad_norm" && c->is("ALLGATHER")) v.gather += c->bytes;
  }
  if (row.data.is("ALLGATHER")) v.gather += row.data.bytes;
  if (row.data.is("REDUCESCATTER") || row.data.is("ALLREDUCE")) v.reduce += row.data.bytes;
}

bool is_attention_end(const std::string& name) {  // once a layer and micro-batch
  return name == "attention_layer" || (name.starts_with("attention") && name.ends_with("_row"));
}

// What the rows tell of the model and the batch.
void read_sizes(const AicbText& text, AicbImport& out, bool& sequence_parallel) {
  std::int64_t embeddings = 0, attentions = 0, exchanges = 0;
  double tensor_bytes = 0, vocabulary_bytes = 0;
  for (const AicbRow& row : text.rows) {
    add_volume(row, out.volumes);
    embeddings += row.name == "embedding_layer" ? 1 : 0;
    attentions += is_attention_end(row.name) ? 1 : 0;
    exchanges += row.forward.is("ALLTOALL_EP") ? 1 : 0;
    if (row.name == "embedding_layer") tensor_bytes = std::max(tensor_bytes, row.forward.bytes);
    if (row.name.starts_with("attention"))
      sequence_parallel = sequence_parallel || row.forward.is("REDUCESCATTER");
    if (row.name.starts_with("cross_entropy") && out.tokens == 0)
      out.tokens = static_cast<std::int64_t>(row.forward.bytes / 4);
    if (row.name == "embedding_norm") vocabulary_bytes = row.forward.bytes;
    if (row.name == "grad_gather") out.parameters = row.data.bytes / 2;
    if (row.name == "grad_norm" && out.parameters == 0) out.parameters = row.forward.bytes / 2;
  }
  out.microbatches = std::max<std::int64_t>(1, embeddings);
  out.layers = attentions / out.microbatches;
  out.moe_layers = exchanges / 2 / out.microbatches;  // there and back
  if (out.tokens > 0)
    out.hidden = static_cast<std::int64_t>(tensor_bytes / 2 / static_cast<double>(out.tokens));
  if (out.hidden > 0)
    out.vocabulary = static_cast<std::int64_t>(vocabulary_bytes / 2 / static_cast<double>(out.hidden));
  // Without cross-entropy rows only the product of both is known: the model tells hidden.
  if (out.tokens == 0) out.tokens = -static_cast<std::int64_t>(tensor_bytes / 2);
}

double dense_parameters(const Model& m) {
  double sum = static_cast<double>(count_parameters(m).total);
  if (m.experts) sum -= static_cast<double>(m.moe_layers() * layer_parameters(m, true).routed_experts);
  return sum;
}

struct Candidate {
  std::string name;
  double off = 0;  // of the parameters
};

// Models of these layers and this width, the nearest by parameters first.
std::vector<Candidate> candidates(const AicbImport& in, const Library& library) {
  std::vector<Candidate> list;
  for (const std::string& name : library.names("models")) {
    const Model m = model_named(name, library, "import");
    const double padding = 0.02;  // of the vocabulary, to a multiple of 128 x tensor
    const bool same_words =
        in.vocabulary == 0 ||
        std::abs(static_cast<double>(m.vocabulary) / static_cast<double>(in.vocabulary) - 1) < padding;
    const bool fits = same_words && m.layers == in.layers && (in.hidden == 0 || m.hidden == in.hidden) &&
                      (in.moe_layers > 0) == m.is_moe() && (in.hidden > 0 || -in.tokens % m.hidden == 0);
    const double theirs = in.parameters * in.tensor;
    if (fits) list.push_back({name, theirs > 0 ? std::abs(dense_parameters(m) / theirs - 1) : 0});
  }
  std::ranges::stable_sort(list, {}, &Candidate::off);
  return list;
}

std::string sizes_text(const AicbImport& in) {
  std::string out = fmt::format("{} layers", in.layers);
  if (in.moe_layers > 0) out += fmt::format(" ({} with experts)", in.moe_layers);
  if (in.hidden > 0) out += fmt::format(", hidden {}", in.hidden);
  if (in.vocabulary > 0) out += fmt::format(", vocabulary {}", in.vocabulary);
  if (in.parameters > 0)
    out += fmt::format(", {:.3g}B parameters besides experts", in.parameters * in.tensor / 1e9);
  return out;
}

std::string chosen_model(const AicbImport& in, const std::string& where, const Library& library,
                         std::vector<std::string>& notes) {
  constexpr double kNear = 0.05;  // padding of the vocabulary and position tables
  const std::vector<Candidate> list = candidates(in, library);
  std::vector<std::string> near;
  for (const Candidate& c : list)
    if (c.off < kNear) near.push_back(c.name);
  if (near.empty())
    throw ConfigError(
        fmt::format("{}: the workload names no model and the library has none of {}; give --model "
                    "NAME or a path",
                    where, sizes_text(in)));
  notes.push_back(fmt::format(
      "the model is {}, the library's nearest to {}{}", near.front(), sizes_text(in),
      near.size() > 1 ? fmt::format("; others: {}", fmt::join(std::span(near).subspan(1), ", ")) : ""));
  return near.front();
}

void check_model(const AicbImport& in, const Model& m, std::vector<std::string>& notes) {
  if (m.layers != in.layers)
    notes.push_back(fmt::format("the workload has {} layers, {} has {}", in.layers, m.name, m.layers));
  if (in.hidden > 0 && m.hidden != in.hidden)
    notes.push_back(fmt::format("the workload has hidden {}, {} has {}", in.hidden, m.name, m.hidden));
}

std::string yaml_of(const AicbImport& in, const std::string& name, const AicbOptions& options,
                    std::int64_t nodes, std::int64_t sequence, std::int64_t batch, bool sequence_parallel) {
  std::string out;
  const auto line = [&](std::string_view text) { out += fmt::format("{}\n", text); };
  line(fmt::format("# From a workload of AICB; {} micro-batches of {} tokens a replica", in.microbatches,
                   sequence * options.micro_batch));
  line(fmt::format("name: {}", yaml_quoted(name)));
  line(fmt::format("model: {}", in.model));
  line("cluster:");
  line(fmt::format("  node: {}", options.node));
  line(fmt::format("  nodes: {}", nodes));
  line("software: megatron  # AICB follows Megatron-LM");
  line("layout:");
  line(fmt::format("  tensor: {}", in.tensor));
  line(fmt::format("  sequence_parallel: {}", sequence_parallel));
  line(fmt::format("  pipeline: {}", in.pipeline));
  line(fmt::format("  expert: {}", in.expert));
  line("  order: [tensor, context, data, pipeline]  # Megatron-LM's");
  if (in.virtual_stages > 1)
    line(fmt::format("schedule: {{name: interleaved_1f1b, virtual_stages: {}}}", in.virtual_stages));
  line("training:");
  line(fmt::format("  sequence_length: {}", sequence));
  line(fmt::format("  global_batch: {}", batch));
  line(fmt::format("  micro_batch: {}", options.micro_batch));
  line("  sharding: zero1  # its gradients are reduce-scattered and its parameters gathered once a step");
  return out;
}

}  // namespace

AicbImport import_aicb(const std::string& text, const std::string& name, const std::string& where,
                       const AicbOptions& options, const Library& library) {
  const AicbText rows = read_rows(text, where);
  AicbImport in;
  in.tensor = static_cast<int>(header_or(rows, "model_parallel_NPU_group", 1));
  in.expert = static_cast<int>(header_or(rows, "ep", 1));
  in.pipeline = static_cast<int>(header_or(rows, "pp", 1));
  in.virtual_stages = static_cast<int>(header_or(rows, "vpp", 1));
  in.gpus = header_or(rows, "all_gpus", 0);
  bool sequence_parallel = false;
  read_sizes(rows, in, sequence_parallel);
  if (in.layers < 1) throw ConfigError(fmt::format("{}: no row of it is an attention layer", where));
  if (const std::int64_t ga = header_or(rows, "ga", in.microbatches); ga != in.microbatches)
    in.notes.push_back(fmt::format(
        "the header says {} micro-batches, the rows are of {}: the latter is taken", ga, in.microbatches));
  in.model = options.model.empty() ? chosen_model(in, where, library, in.notes) : options.model;
  const Model model = model_named(in.model, library, "--model");
  check_model(in, model, in.notes);
  if (in.tokens < 0) in.tokens = -in.tokens / model.hidden;
  if (in.tokens < 1)
    throw ConfigError(
        fmt::format("{}: the tokens of a micro-batch are not told: neither a row cross_entropy nor a row "
                    "embedding_layer has the bytes of its forward collective",
                    where));
  if (in.tokens % options.micro_batch != 0)
    throw ConfigError(
        fmt::format("{}: a micro-batch has {} tokens, which is no multiple of {} sequences; give "
                    "--micro-batch N",
                    where, in.tokens, options.micro_batch));
  const std::int64_t sequence = in.tokens / options.micro_batch;
  in.notes.push_back(fmt::format("a micro-batch of {} tokens is read as {} x {} (--micro-batch N)", in.tokens,
                                 options.micro_batch, sequence));
  const int per_node = [&] {
    Document document =
        Document::parse(fmt::format("cluster: {{node: {}, nodes: 1}}", options.node), "--node");
    const int gpus = gpus_of(document, library);
    if (!document.ok()) document.finish();
    return gpus;
  }();
  const std::int64_t model_ranks = static_cast<std::int64_t>(in.tensor) * in.pipeline;
  if (in.gpus <= 1 && model_ranks > 1) {
    in.gpus = model_ranks * std::max(1, in.expert);
    in.notes.push_back(fmt::format("the header has no all_gpus: {} GPUs, one replica, are written", in.gpus));
  }
  in.gpus = std::max<std::int64_t>(1, in.gpus);
  const std::int64_t nodes = (in.gpus + per_node - 1) / per_node;
  if (nodes * per_node != in.gpus)
    in.notes.push_back(fmt::format("{} GPUs do not fill {} nodes of {}: all of {} are written", in.gpus,
                                   nodes, options.node, nodes * per_node));
  const std::int64_t replicas = std::max<std::int64_t>(1, nodes * per_node / model_ranks);
  const std::int64_t batch = in.microbatches * options.micro_batch * replicas;
  in.yaml = yaml_of(in, name, options, nodes, sequence, batch, sequence_parallel);
  return in;
}

std::vector<std::string> compare_volumes(const AicbImport& in, const Scenario& scenario) {
  const StepResult step = step_of(scenario, 1, false);
  double tensor = 0, expert = 0, gather = 0, reduce = 0;
  for (const CommunicationTotal& c : step.communication) {
    const double all_stages = c.bytes_per_rank.value * scenario.layout.pipeline;
    if (c.group == "tensor") tensor += all_stages;
    if (c.group == "expert") expert += all_stages;
    if (c.group == "data") (c.collective == "all_gather" ? gather : reduce) += all_stages;
  }
  std::vector<std::string> lines = {
      "GB of full tensors a step, all stages:         AICB        ours  ours/AICB"};
  const auto row = [&](std::string_view what, double theirs, double ours) {
    if (theirs == 0 && ours == 0) return;
    lines.push_back(fmt::format("  {:<40}{:>12.4g}{:>12.4g}{:>11}", what, theirs / 1e9, ours / 1e9,
                                theirs > 0 ? fmt::format("{:.2f}", ours / theirs) : "-"));
  };
  row("tensor parallel", in.volumes.tensor, tensor);
  row("expert parallel", in.volumes.expert, expert);
  row("data parallel, parameters gathered", in.volumes.gather, gather);
  row("data parallel, gradients reduced", in.volumes.reduce, reduce);
  return lines;
}

}  // namespace runcast
