// The text of a configuration and the places in it: which line and column something stands at, and how an
// error about it is told ("file:line:column: sentence", the line, a caret). Refuses what a YAML parser must
// not be asked to read: text that is too large, not UTF-8, or holds control characters. Knows nothing of
// YAML.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config.hpp"

namespace runcast::detail {

inline constexpr std::size_t kMaxBytes = 1 << 20;  // of a text

// Where something stands: origin 0 is the file, origin k the k-th --set. 1-based; line 0 is the whole text.
// Columns are bytes here, as yaml-cpp counts; Source tells them in characters.
struct Place {
  std::size_t origin = 0;
  int line = 0, column = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

struct Problem {
  Place place;
  std::string sentence;
  friend auto operator<=>(const Problem&, const Problem&) = default;
};

// A named text and its lines.
class Source {
 public:
  Source(std::string name, std::string text);
  const std::string& name() const { return name_; }
  const std::string& text() const { return text_; }
  std::string_view line(int number) const;       // 1-based; empty past the end
  Place place_of(int line0, int column0) const;  // from 0-based; a negative line is the whole text
  Place place_of(std::size_t byte) const;
  Location location(Place place) const;
  std::string told(const Problem& problem) const;  // "file:line:column: sentence", the source line, the caret

 private:
  std::size_t byte_of(Place place) const;

  std::string name_, text_;
  std::vector<std::size_t> starts_;  // of the lines, in bytes
};

// Throws the ConfigError of one problem.
[[noreturn]] void refuse(const Source& source, Place place, std::string sentence);

// What a file holds, up to one byte past `most`; read once, so that a pipe will do. Throws ConfigError
// `PATH: cannot be read: no such file`.
std::string file_text(const std::string& path, std::size_t most = kMaxBytes);

// The whole of a table or a record of results. Throws as file_text does, and for what is larger.
inline constexpr std::size_t kLargestTable = 64 << 20;
std::string table_text(const std::string& path);

// The text with a byte order mark dropped and LF line ends. Throws ConfigError for what may not be parsed.
Source checked_source(std::string text, std::string name);

}  // namespace runcast::detail
