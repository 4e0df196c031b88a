// Numbers as people read them: four significant digits, thousands separated, always with a unit.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace runcast {

std::string grouped(long long value);                   // 16,384
std::string number(double value, int significant = 4);  // 5.872, 412.3, 16,384, 3.8e25; "-" when not finite
std::string fixed(double value, int decimals);          // 5.87, 1,234.50
std::string percent(double fraction);                   // 41.2 %
std::string time_text(double seconds);                  // 45.1 us, 12.3 ms, 5.872 s, 12 min, 3.2 h, 71.3 days
std::string range_text(const std::string& low,
                       const std::string& high);  // 5.81 to 6.72 s: an equal unit is told once
std::string count_text(double count);             // 14.60B, 1.142T: parameters and tokens
std::string bytes_text(double bytes);             // 12.5 MB (decimal, as link traffic is told)

// The unit of a value, told by the suffixes of its key and of the keys above it ("step.breakdown_s.bubble" is
// in s, "run.days.mean" in days, shares of a whole in 1). "" when the key names none.
std::string unit_of(std::string_view path);

// The value as it stands in a table of keys and values: shortest text that reads back to the same number.
std::string plain_text(const nlohmann::ordered_json& value);

// JSON text (indent -1: one line); bytes that are not UTF-8, such as a file's name may hold, become U+FFFD.
std::string json_text(const nlohmann::ordered_json& value, int indent = -1);

}  // namespace runcast
