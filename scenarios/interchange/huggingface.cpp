// Keys of transformers' configuration classes; the table of architectures says what is special in each.
#include "scenarios/interchange/huggingface.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "scenarios/interchange/yaml_text.hpp"
#include "sim/error.hpp"
#include "sim/spelling.hpp"

namespace runcast {
namespace {

using Json = nlohmann::json;

enum class ExpertKeys { none, mixtral, qwen, deepseek, gpt_oss, llama4 };

struct Architecture {
  std::string_view type;  // model_type
  ExpertKeys experts = ExpertKeys::none;
  bool latent = false;       // multi-head latent attention
  bool layer_norm = false;   // with a shift
  bool alternating = false;  // a sliding window in every other layer
};

constexpr std::array<Architecture, 13> kArchitectures = {{
    {"llama"},
    {"mistral"},
    {"mixtral", ExpertKeys::mixtral},
    {"qwen2"},
    {"qwen2_moe", ExpertKeys::qwen},
    {"qwen3"},
    {"qwen3_moe", ExpertKeys::qwen},
    {"deepseek_v2", ExpertKeys::deepseek, true},
    {"deepseek_v3", ExpertKeys::deepseek, true},
    {"kimi_k2", ExpertKeys::deepseek, true},  // DeepSeek-V3's code with other numbers
    {"gpt_oss", ExpertKeys::gpt_oss, false, false, true},
    {"nemotron", ExpertKeys::none, false, true},
    {"llama4", ExpertKeys::llama4},
}};

// One object of the file with the path that leads to it; errors name FILE: 'path.key'.
class Reader {
 public:
  Reader(const Json& object, std::string where, std::string path)
      : object_(object), where_(std::move(where)), path_(std::move(path)) {}

  [[noreturn]] void fail(std::string_view key, const std::string& sentence) const {
    throw ConfigError(fmt::format("{}: '{}{}' {}", where_, path_, key, sentence));
  }
  bool has(std::string_view key) const {
    const auto at = object_.find(key);
    return at != object_.end() && !at->is_null();
  }
  std::int64_t count(std::string_view key) const {
    if (!has(key)) fail(key, "is missing");
    const Json& value = object_.at(std::string(key));
    if (value.is_number_float()) {  // 4096.0
      const double number = value.get<double>();
      if (number >= 0 && number <= 1e9 && std::floor(number) == number)
        return static_cast<std::int64_t>(number);
    }
    if (!value.is_number_integer() ||
        (value.is_number_unsigned() && value.get<std::uint64_t>() > 1'000'000'000))
      fail(key, fmt::format("must be a whole number up to 1e9, not {}", shown(value)));
    const auto number = value.get<std::int64_t>();
    if (number < 0) fail(key, fmt::format("must not be negative: {}", number));
    return number;
  }
  std::int64_t count(std::string_view key, std::int64_t fallback) const {
    return has(key) ? count(key) : fallback;
  }
  bool flag(std::string_view key, bool fallback) const {
    if (!has(key)) return fallback;
    const Json& value = object_.at(std::string(key));
    if (!value.is_boolean()) fail(key, fmt::format("must be true or false, not {}", shown(value)));
    return value.get<bool>();
  }
  std::string text(std::string_view key) const {
    if (!has(key)) return "";
    const Json& value = object_.at(std::string(key));
    if (!value.is_string()) fail(key, fmt::format("must be a text, not {}", shown(value)));
    return value.get<std::string>();
  }
  bool is_empty_list(std::string_view key) const {
    return !has(key) || (object_.at(std::string(key)).is_array() && object_.at(std::string(key)).empty());
  }

 private:
  static std::string shown(const Json& value) {
    std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
    if (text.size() > 40) text = text.substr(0, 40) + "...";
    return text;
  }
  const Json& object_;
  std::string where_, path_;
};

class Writer {
 public:
  Writer(const Architecture& row, const Reader& in) : row_(row), in_(in) {}

  ImportedModel write(const std::string& name, const std::string& where) {
    line("# {}: a model of type {}", yaml_quoted(name), row_.type);
    line("name: {}", yaml_quoted(name));
    line("source: {}", yaml_quoted(fmt::format("Hugging Face {}, model_type {}", where, row_.type)));
    line("layers: {}", in_.count("num_hidden_layers"));
    line("hidden: {}", in_.count("hidden_size"));
    line("ffn: {}", ffn());
    attention();
    line("vocabulary: {}", in_.count("vocab_size"));
    activation();
    if (in_.flag("tie_word_embeddings", false)) line("tied_embeddings: true");
    traits();
    experts();
    window();
    if (const std::int64_t modules = in_.count("num_nextn_predict_layers", 0); modules > 0) {
      line("# multi_token_prediction: {}  # while training; not kept in the published parameters", modules);
      note("the modules of multi-token prediction are left as a comment: they exist while training only");
    }
    return {std::move(text_), std::move(notes_)};
  }

 private:
  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    text_ += fmt::format(format, std::forward<Args>(args)...) + '\n';
  }
  void note(std::string sentence) { notes_.push_back(std::move(sentence)); }

  std::int64_t ffn() const {
    if (row_.experts == ExpertKeys::llama4) return in_.count("intermediate_size_mlp");
    // Of the dense layers; where there are none the key still stands in the file, or the experts' width does.
    if (in_.has("intermediate_size")) return in_.count("intermediate_size");
    return in_.has("moe_intermediate_size") ? in_.count("moe_intermediate_size")
                                            : in_.count("intermediate_size");
  }

  void attention() {
    const std::int64_t heads = in_.count("num_attention_heads");
    line("heads: {}", heads);
    line("kv_heads: {}", row_.latent ? heads : in_.count("num_key_value_heads", heads));
    if (row_.latent) {
      const std::int64_t rope = in_.count("qk_rope_head_dim"), nope = in_.count("qk_nope_head_dim");
      line("head_dim: {}  # qk_nope_head_dim + qk_rope_head_dim", rope + nope);
      line("latent_attention: {{q_lora: {}, kv_lora: {}, rope_dim: {}, nope_dim: {}, v_dim: {}}}",
           in_.count("q_lora_rank", 0), in_.count("kv_lora_rank"), rope, nope, in_.count("v_head_dim"));
      return;
    }
    if (in_.has("head_dim")) {
      line("head_dim: {}", in_.count("head_dim"));
      return;
    }
    const std::int64_t hidden = in_.count("hidden_size");
    if (heads == 0 || hidden % heads != 0)
      in_.fail(
          "num_attention_heads",
          fmt::format("is {}, which does not divide hidden_size {}, and head_dim is missing", heads, hidden));
    line("head_dim: {}  # hidden_size / num_attention_heads", hidden / heads);
  }

  void activation() {
    const std::string act = in_.has("hidden_act") ? in_.text("hidden_act") : in_.text("hidden_activation");
    if (act == "relu2") {
      line("activation: squared_relu");
    } else if (act == "silu" || act == "swish" || act.empty()) {
      line("activation: swiglu");
    } else {
      in_.fail("hidden_act", fmt::format("is '{}'; known: silu (SwiGLU), relu2", act));
    }
  }

  void traits() {
    const bool biases = row_.experts == ExpertKeys::gpt_oss || in_.flag("mlp_bias", false);
    if (biases) {
      line("biases: true");
      line("normalization: {}", row_.layer_norm ? "layernorm" : "rmsnorm");
    } else if (row_.layer_norm) {
      line("normalization: layernorm");
    }
    if (!biases && (in_.flag("attention_bias", false) || row_.type == "qwen2" || row_.type == "qwen2_moe"))
      note("biases of query, key and value alone are left out: under 0.01 % of the parameters");
  }

  void experts() {
    switch (row_.experts) {
      case ExpertKeys::none:
        return;
      case ExpertKeys::mixtral:
        return expert_lines(in_.count("num_local_experts"), in_.count("intermediate_size"));
      case ExpertKeys::gpt_oss:
        return expert_lines(in_.count("num_local_experts"), in_.count("intermediate_size"));
      case ExpertKeys::qwen:
        expert_lines(in_.count("num_experts"), in_.count("moe_intermediate_size"));
        if (in_.count("shared_expert_intermediate_size", 0) > 0)
          line("  shared_ffn: {}", in_.count("shared_expert_intermediate_size"));
        if (!in_.is_empty_list("mlp_only_layers"))
          in_.fail("mlp_only_layers",
                   "lists dense layers by number; only none, the first ones or every n-th can be said");
        every(in_.count("decoder_sparse_step", 1));
        return;
      case ExpertKeys::llama4:
        expert_lines(in_.count("num_local_experts"), in_.count("intermediate_size"));
        line("  shared_ffn: {}  # one, as wide as a routed expert", in_.count("intermediate_size"));
        every(in_.count("interleave_moe_layer_step", 1));
        note("attention is counted over the whole sequence, not in chunks of attention_chunk_size");
        return;
      case ExpertKeys::deepseek:
        expert_lines(in_.count("n_routed_experts"), in_.count("moe_intermediate_size"));
        if (const std::int64_t shared = in_.count("n_shared_experts", 0); shared > 0)
          line("  shared_ffn: {}  # {} of moe_intermediate_size", shared * in_.count("moe_intermediate_size"),
               shared);
        line("  dense_layers: {}", in_.count("first_k_dense_replace", 0));
        every(in_.count("moe_layer_freq", 1));
        if (in_.count("n_group", 1) > 1 && in_.count("topk_group", 0) > 0) {
          line("  node_limit: {}  # topk_group of n_group {}", in_.count("topk_group"), in_.count("n_group"));
          note("one group of experts a node is assumed: node_limit is topk_group");
        }
        return;
    }
  }

  void expert_lines(std::int64_t count, std::int64_t width) {
    line("experts:");
    line("  count: {}", count);
    line("  top_k: {}",
         in_.has("num_experts_per_tok") ? in_.count("num_experts_per_tok") : in_.count("experts_per_token"));
    line("  ffn: {}", width);
  }
  void every(std::int64_t step) {
    if (step > 1) line("  every: {}", step);
  }

  void window() {
    const bool used = row_.alternating || in_.flag("use_sliding_window", row_.type == "mistral");
    if (!used || !in_.has("sliding_window")) return;
    const std::int64_t tokens = in_.count("sliding_window");
    if (tokens > 0 && tokens < in_.count("max_position_embeddings", tokens + 1))
      line("sliding_window: {{tokens: {}, global_every: {}}}", tokens, row_.alternating ? 2 : 0);
  }

  const Architecture& row_;
  const Reader& in_;
  std::string text_;
  std::vector<std::string> notes_;
};

// How the weights are kept: torch's names. A model has no format of its own here.
constexpr std::array<std::string_view, 11> kTorchTypes = {"float32",     "float", "float64",  "double",
                                                          "float16",     "half",  "bfloat16", "float8_e4m3fn",
                                                          "float8_e5m2", "int8",  "uint8"};

void note_weights(const Reader& in, std::vector<std::string>& notes) {
  for (const char* key : {"dtype", "torch_dtype"}) {
    if (!in.has(key)) continue;
    std::string type = in.text(key);
    if (type.starts_with("torch.")) type.erase(0, 6);
    if (std::ranges::find(kTorchTypes, type) == kTorchTypes.end())
      in.fail(key, fmt::format("is '{}', no type of torch; legal: {}", type, fmt::join(kTorchTypes, " ")));
    notes.push_back(fmt::format(
        "{} {} is how the weights are kept; what training computes in is training.precision", key, type));
    break;
  }
  if (in.has("quantization_config"))
    notes.emplace_back(
        "quantization_config is left out: it is of the published weights; what training computes in is "
        "training.precision");
}

Json parsed(const std::string& text, const std::string& where) {
  if (text.size() > (1U << 20U)) throw ConfigError(where + ": larger than 1 MiB: not a config.json");
  try {
    // The callback bounds the depth: hostile nesting would overflow the stack when the tree is freed.
    return Json::parse(text, [&](int depth, Json::parse_event_t, Json&) {
      if (depth > 32) throw ConfigError(where + ": nested deeper than 32 levels: not a config.json");
      return true;
    });
  } catch (const Json::exception& error) {
    const std::string said =
        error.what();  // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    const std::size_t from = said.find("] ");
    throw ConfigError(fmt::format("{}: {}", where, from == std::string::npos ? said : said.substr(from + 2)));
  }
}

}  // namespace

std::vector<std::string_view> huggingface_architectures() {
  std::vector<std::string_view> types;
  for (const Architecture& row : kArchitectures) types.push_back(row.type);
  return types;
}

ImportedModel import_huggingface(const std::string& json, const std::string& name, const std::string& where) {
  const Json root = parsed(json, where);
  if (!root.is_object()) throw ConfigError(where + ": a config.json is one object");
  const auto text = root.find("text_config");
  const bool inner = text != root.end() && text->is_object();
  const Json& object = inner ? *text : root;
  const Reader in(object, where, inner ? "text_config." : "");
  std::string type = in.text("model_type");
  const auto types = huggingface_architectures();
  if (type.empty())
    throw ConfigError(fmt::format("{}: '{}model_type' is missing; known: {}", where,
                                  inner ? "text_config." : "", fmt::join(types, " ")));
  if (type.ends_with("_text")) type.resize(type.size() - 5);
  for (const Architecture& row : kArchitectures) {
    if (row.type != type) continue;
    ImportedModel model = Writer(row, in).write(name, where);
    note_weights(in, model.notes);
    if (inner) note_weights(Reader(root, where, ""), model.notes);
    if (inner) model.notes.insert(model.notes.begin(), "only the text model is read: text_config");
    return model;
  }
  const std::string near = nearest_name(type, std::vector<std::string>(types.begin(), types.end()));
  throw ConfigError(fmt::format("{}: unknown model_type '{}'{}; known: {}", where, type,
                                near.empty() ? "" : ", did you mean '" + near + "'?", fmt::join(types, " ")));
}

}  // namespace runcast
