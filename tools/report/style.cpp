// Style: locale and colour detection, bars, aligned columns.
#include "tools/report/style.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdlib>

#include "sim/error.hpp"

namespace runcast {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    std::string value = environment(name);
    if (value.empty()) continue;
    std::transform(value.begin(), value.end(), value.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    return value.find("utf-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

std::string painted(std::string_view text, std::string_view code, const Style& style) {
  if (!style.colour) return std::string(text);
  return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

std::string without_trailing_spaces(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace

Style detect_style(bool terminal) {
  Style style;
  style.unicode = locale_is_utf8();
  style.terminal = terminal;
  style.colour = terminal && environment("NO_COLOR").empty() && environment("TERM") != "dumb";
  return style;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {  // a colour code takes no column
      i = std::min(text.find('m', i), text.size() - 1);
      continue;
    }
    if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U) ++width;
  }
  return width;
}

std::string padded_left(std::string text, std::size_t width) {
  const std::size_t own = display_width(text);
  return own < width ? std::string(width - own, ' ') + text : text;
}

std::string padded_right(std::string text, std::size_t width) {
  const std::size_t own = display_width(text);
  return own < width ? text + std::string(width - own, ' ') : text;
}

std::string heading(std::string_view text, const Style& style) { return painted(text, "1", style); }
std::string good(std::string_view text, const Style& style) { return painted(text, "32", style); }
std::string bad(std::string_view text, const Style& style) { return painted(text, "1;31", style); }

std::string bar(double fraction, std::size_t width, const Style& style) {
  if (!(fraction > 0)) return {};
  const double columns = std::min(fraction, 1.0) * static_cast<double>(width);
  if (!style.unicode) return std::string(static_cast<std::size_t>(std::lround(columns)), '#');
  static constexpr std::array<std::string_view, 8> kEighths = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths = std::max<std::size_t>(1, static_cast<std::size_t>(std::lround(columns * 8)));
  std::string text;
  for (std::size_t i = 0; i < eighths / 8; ++i) text += "█";
  text += kEighths[eighths % 8];
  return text;
}

void Columns::row(std::vector<std::string> cells) {
  INVARIANT(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Columns::text(std::size_t indent) const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t width = display_width(columns_[c].header);
    for (const auto& cells : rows_) width = std::max(width, display_width(cells[c]));
    widths.push_back(width);
  }
  const auto line = [&](const auto& cell) {
    std::string out(indent, ' ');
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      if (c > 0) out += "  ";
      out += columns_[c].align == Align::left ? padded_right(cell(c), widths[c])
                                              : padded_left(cell(c), widths[c]);
    }
    return without_trailing_spaces(out) + "\n";
  };
  std::string out;
  const bool has_headers = std::any_of(columns_.begin(), columns_.end(),
                                       [](const Column& column) { return !column.header.empty(); });
  if (has_headers) out += line([&](std::size_t c) { return columns_[c].header; });
  for (const auto& cells : rows_) out += line([&](std::size_t c) { return cells[c]; });
  return out;
}

}  // namespace runcast
