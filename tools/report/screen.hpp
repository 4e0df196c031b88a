// What a person reads: a result as one screen that explains itself. Rendered from the JSON document alone,
// part by part; a part that the document does not have is left out, so one function serves run, step, goodput
// and memory. Every number has its unit beside it or in its column's header.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "tools/report/style.hpp"

namespace runcast {

std::string result_screen(const nlohmann::ordered_json& document, const Style& style);
std::string model_screen(const nlohmann::ordered_json& document, const Style& style);
std::string scaling_screen(const nlohmann::ordered_json& document, const Style& style);
std::string network_screen(const nlohmann::ordered_json& document, const Style& style);
std::string advice_screen(const nlohmann::ordered_json& document, const Style& style);
std::string search_screen(const nlohmann::ordered_json& document, const Style& style);
std::string sweep_screen(const nlohmann::ordered_json& document, const Style& style);
std::string compare_screen(const nlohmann::ordered_json& document, const Style& style);
std::string validation_screen(const nlohmann::ordered_json& document, const Style& style);

// The parts of result_screen; each is "" when its key is absent.
std::string scenario_part(const nlohmann::ordered_json& document, const Style& style);
std::string step_part(const nlohmann::ordered_json& document, const Style& style);
std::string unfolded_part(const nlohmann::ordered_json& document, const Style& style);
std::string communication_part(const nlohmann::ordered_json& document, const Style& style);
std::string memory_part(const nlohmann::ordered_json& document, const Style& style);
std::string run_part(const nlohmann::ordered_json& document, const Style& style);
std::string checkpoint_part(const nlohmann::ordered_json& document, const Style& style);
std::string studies_part(const nlohmann::ordered_json& document, const Style& style);
std::string comparison_part(const nlohmann::ordered_json& document, const Style& style);
std::string phases_part(const nlohmann::ordered_json& document, const Style& style);
std::string sensitivity_part(const nlohmann::ordered_json& document, const Style& style);
std::string published_part(const nlohmann::ordered_json& document, const Style& style);
std::string cost_part(const nlohmann::ordered_json& document, const Style& style);
std::string trace_part(const nlohmann::ordered_json& document, const Style& style);
std::string provenance_part(const nlohmann::ordered_json& document, const Style& style);

// Reading a document that may lack a key: NaN, "" or a null value instead of an error.
const nlohmann::ordered_json& part_of(const nlohmann::ordered_json& value, std::string_view path);
double number_of(const nlohmann::ordered_json& value, std::string_view path);
std::string text_of(const nlohmann::ordered_json& value, std::string_view path);
// "80 %" of an interval's `level`; "" when `prediction` is not there.
std::string level_of(const nlohmann::ordered_json& prediction);
std::string wrapped(const std::string& text,
                    std::size_t indent);  // lines after the first begin with `indent` spaces
std::string words_of(std::string key);    // "wait_for_spare" -> "wait for spare"

}  // namespace runcast
