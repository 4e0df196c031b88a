// How text looks on a terminal: block characters or ASCII, colour or none, and text aligned by what is seen
// (a UTF-8 letter is one column; wide East Asian letters are not counted as two).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace runcast {

struct Style {
  bool unicode = false;  // block characters; otherwise ASCII
  bool colour = false;   // bold headings, red and green verdicts
  bool terminal = false;  // somebody looks: pictures in characters
};

// Unicode when LC_ALL, LC_CTYPE or LANG (the first that is set) is UTF-8; colour when `terminal` is a
// terminal and neither NO_COLOR nor TERM=dumb says otherwise.
Style detect_style(bool terminal);

std::size_t display_width(std::string_view text);
std::string padded_left(std::string text, std::size_t width);   // right-aligned
std::string padded_right(std::string text, std::size_t width);  // left-aligned

std::string heading(std::string_view text, const Style& style);
std::string good(std::string_view text, const Style& style);
std::string bad(std::string_view text, const Style& style);

// `fraction` of `width` columns, filled; resolution an eighth of a column (ASCII: one column).
std::string bar(double fraction, std::size_t width, const Style& style);

// An aligned table: headers over columns, text left and numbers right.
class Columns {
 public:
  enum class Align { left, right };
  void column(std::string header, Align align) { columns_.push_back({std::move(header), align}); }
  void row(std::vector<std::string> cells);  // INVARIANT: as many as columns
  std::string text(std::size_t indent) const;
  bool empty() const { return rows_.empty(); }

 private:
  struct Column {
    std::string header;
    Align align;
  };
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace runcast
