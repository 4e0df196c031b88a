// One JSON document in any of the machine formats. A document whose answer is one table (`rows` or `layouts`
// at its top) is that table in csv and jsonl; any other is keys and values.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace runcast {

enum class Format { table, json, jsonl, csv, markdown };

// The format of a name ("md") or of a file's suffix. Throws ConfigError that lists the legal names.
Format format_named(std::string_view name);
Format format_of_file(const std::string& path);  // .json .jsonl .csv .md, and .txt for table

std::string as_json(const nlohmann::ordered_json& document);   // indented by two
std::string as_jsonl(const nlohmann::ordered_json& document);  // one line a row, else one line
std::string as_csv(const nlohmann::ordered_json& document);    // RFC 4180 quoting; rows, else key,value,unit
std::string as_markdown(const nlohmann::ordered_json& document);  // a heading and a table for each part
std::string as_text(const nlohmann::ordered_json& document);      // the same parts, aligned: for any document

// Removes every key named `seconds` (wall-clock figures), at any depth.
void remove_timing(nlohmann::ordered_json& document);

// Every leaf as path and value: "step.memory.stages[0].total_gib".
struct Leaf {
  std::string path;
  std::string value;
};
std::vector<Leaf> leaves(const nlohmann::ordered_json& document);

}  // namespace runcast
