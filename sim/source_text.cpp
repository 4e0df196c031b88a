#include "sim/source_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace runcast::detail {
namespace {

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

int characters(std::string_view bytes) {
  return static_cast<int>(std::ranges::count_if(bytes, [](char c) { return !is_continuation(c); }));
}

// The line and a caret below its character; a window of a long line. Tabs become single blanks.
std::string excerpt(std::string_view text, std::size_t character) {
  constexpr std::size_t width = 120;
  std::vector<std::string> cells;
  for (const char c : text) {
    if (is_continuation(c) && !cells.empty())
      cells.back() += c;
    else
      cells.emplace_back(1, static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c);
  }
  std::size_t first = 0, last = cells.size();
  if (cells.size() > width) {
    first = character > width / 2 ? character - width / 2 : 0;
    last = std::min(first + width, cells.size());
  }
  std::string shown = first > 0 ? "..." : "";
  const std::size_t caret = shown.size() + character - first;
  for (std::size_t i = first; i < last; ++i) shown += cells[i];
  if (last < cells.size()) shown += "...";
  return fmt::format("{}\n{}^", shown, std::string(caret, ' '));
}

// The first byte that is not UTF-8 (RFC 3629: no overlong forms, no surrogates), or npos.
std::size_t find_invalid_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned char lead = byte(i);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xC2 ? 0
                               : lead < 0xE0 ? 2
                               : lead < 0xF0 ? 3
                               : lead < 0xF5 ? 4
                                             : 0;
    if (length == 0 || i + length > text.size()) return i;
    for (std::size_t k = 1; k < length; ++k)
      if ((byte(i + k) & 0xC0) != 0x80) return i;
    if ((lead == 0xE0 && byte(i + 1) < 0xA0) || (lead == 0xED && byte(i + 1) > 0x9F) ||
        (lead == 0xF0 && byte(i + 1) < 0x90) || (lead == 0xF4 && byte(i + 1) > 0x8F))
      return i;
    i += length;
  }
  return std::string_view::npos;
}

// Byte order mark dropped, CR LF and CR as LF.
std::string with_unix_lines(std::string text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r')
      out += text[i];
    else if (i + 1 == text.size() || text[i + 1] != '\n')
      out += '\n';
  }
  return out;
}

}  // namespace

Source::Source(std::string name, std::string text) : name_(std::move(name)), text_(std::move(text)) {
  starts_.push_back(0);
  for (std::size_t i = 0; i < text_.size(); ++i)
    if (text_[i] == '\n') starts_.push_back(i + 1);
}

std::string_view Source::line(int number) const {
  if (number < 1 || static_cast<std::size_t>(number) > starts_.size()) return {};
  const std::size_t start = starts_[static_cast<std::size_t>(number) - 1];
  return std::string_view(text_).substr(start, text_.find('\n', start) - start);
}

Place Source::place_of(int line0, int column0) const {
  if (line0 < 0) return {};
  return {0, line0 + 1, std::max(column0, 0) + 1};
}

Place Source::place_of(std::size_t byte) const {
  const auto next = std::ranges::upper_bound(starts_, byte);
  const auto line0 = next - starts_.begin() - 1;
  return place_of(static_cast<int>(line0), static_cast<int>(byte - starts_[static_cast<std::size_t>(line0)]));
}

std::size_t Source::byte_of(Place place) const {
  return std::min(static_cast<std::size_t>(place.column) - 1, line(place.line).size());
}

Location Source::location(Place place) const {
  if (place.line == 0) return {name_, 0, 0};
  return {name_, place.line, characters(line(place.line).substr(0, byte_of(place))) + 1};
}

std::string Source::told(const Problem& problem) const {
  if (problem.place.line == 0) return fmt::format("{}: {}", name_, problem.sentence);
  const Location at = location(problem.place);
  return fmt::format("{}:{}:{}: {}\n{}", name_, at.line, at.column, problem.sentence,
                     excerpt(line(at.line), static_cast<std::size_t>(at.column) - 1));
}

void refuse(const Source& source, Place place, std::string sentence) {
  throw ConfigError(source.told({place, std::move(sentence)}));
}

Source checked_source(std::string text, std::string name) {
  if (text.size() > kMaxBytes) throw ConfigError(fmt::format("{}: is larger than 1 MiB", name));
  Source source(std::move(name), with_unix_lines(std::move(text)));
  const std::string& clean = source.text();
  if (const std::size_t bad = find_invalid_utf8(clean); bad != std::string::npos)
    throw ConfigError(fmt::format("{}:{}: is not UTF-8 text (byte 0x{:02x})", source.name(),
                                  source.place_of(bad).line, static_cast<unsigned char>(clean[bad])));
  for (std::size_t i = 0; i < clean.size(); ++i) {
    const auto c = static_cast<unsigned char>(clean[i]);
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
      refuse(source, source.place_of(i), fmt::format("control character 0x{:02x} in the text", c));
  }
  return source;
}

std::string file_text(const std::string& path, std::size_t most) {
  const auto cannot = [&](const std::string& why) -> ConfigError {
    return ConfigError(fmt::format("{}: cannot be read: {}", path, why));
  };
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) throw cannot("is a directory");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    if (errno == ENOENT) throw cannot("no such file");
    if (errno == EACCES) throw cannot("permission denied");
    throw cannot(errno != 0 ? std::generic_category().message(errno) : "cannot be opened");
  }
  // In pieces: most files are small.
  std::string text;
  for (std::size_t piece = 1 << 16; text.size() <= most && file; piece *= 2) {
    const std::size_t before = text.size();
    text.resize(std::min(before + piece, most + 1));
    file.read(text.data() + before, static_cast<std::streamsize>(text.size() - before));
    text.resize(before + static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) throw cannot("reading failed");
  return text;
}

std::string table_text(const std::string& path) {
  std::string text = file_text(path, kLargestTable);
  if (text.size() > kLargestTable)
    throw ConfigError(fmt::format("{}: is larger than {} MiB", path, kLargestTable >> 20));
  return text;
}

}  // namespace runcast::detail
