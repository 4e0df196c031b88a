// A text as a YAML scalar.
#pragma once

#include <string>
#include <string_view>

namespace runcast {

// In double quotes, with quotes and backslashes escaped; control characters become spaces.
inline std::string yaml_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + '"';
}

}  // namespace runcast
