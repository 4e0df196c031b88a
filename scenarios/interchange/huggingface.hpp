// A Hugging Face config.json as a library entry of models/. One row of a visible table for each architecture that is
// known; any other is refused with the list, since its keys could mean something else. Leaves out: vision and audio
// towers (of a config with `text_config` the text model is read), rotary scaling, and biases on query, key and value
// alone (Qwen2: under 0.01 % of the parameters).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace runcast {

struct ImportedModel {
  std::string yaml;                // readable by read_model, each line's origin where it is not one key
  std::vector<std::string> notes;  // what was left out or assumed
};

// `json`: the text of config.json; `name` of the entry; `where` is what errors print as the file.
// Throws ConfigError: not JSON (with line and column), a missing or wrong key by its path, an unknown architecture.
ImportedModel import_huggingface(const std::string& json, const std::string& name, const std::string& where);

// The values of `model_type` that are known, in the table's order.
std::vector<std::string_view> huggingface_architectures();

}  // namespace runcast
