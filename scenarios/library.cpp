// Library: joining the embedded chunks, laying a folder over them, finding entries by name.
#include "scenarios/library.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <system_error>
#include <tuple>

#include "sim/config.hpp"
#include "sim/error.hpp"
#include "sim/quantity.hpp"
#include "sim/source_text.hpp"

namespace runcast {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFiles = 10'000;  // of a folder laid over the library

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r#");
  if (first == std::string_view::npos) return {};
  const auto last = text.find_last_not_of(" \t\r");
  return std::string(text.substr(first, last - first + 1));
}

std::string unquoted(std::string text) {
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
    return text.substr(1, text.size() - 2);
  return text;
}

// "models/dense/x.yaml" -> folder "models/dense", name "x", suffix "yaml".
LibraryEntry entry_at(std::string_view relative) {
  LibraryEntry entry;
  const auto slash = relative.rfind('/');
  if (slash != std::string_view::npos) entry.folder = relative.substr(0, slash);
  const std::string_view file = slash == std::string_view::npos ? relative : relative.substr(slash + 1);
  const auto dot = file.rfind('.');
  entry.name = file.substr(0, dot);
  if (dot != std::string_view::npos) entry.suffix = file.substr(dot + 1);
  return entry;
}

std::string file_text(const fs::path& path) {
  try {
    return detail::table_text(path.string());
  } catch (const ConfigError& error) {
    throw ConfigError(fmt::format("--library: {}", error.what()));
  }
}

// "660 rows: id, source_key, citation, url, ..."
std::string table_summary(const std::string& text, std::string header) {
  const auto rows = std::count(text.begin(), text.end(), '\n') - 1;
  std::size_t end = 0;
  for (int columns = 0; columns < 4 && end != std::string::npos; ++columns) end = header.find(',', end + 1);
  header = header.substr(0, end) + (end == std::string::npos ? "" : ",...");
  for (std::size_t at = header.find(','); at != std::string::npos; at = header.find(',', at + 1))
    header.insert(at + 1, " ");
  return fmt::format("{} rows: {}", rows, header);
}

auto order(const LibraryEntry& entry) { return std::tie(entry.folder, entry.name); }

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

std::string LibraryEntry::summary() const {
  std::istringstream lines(text);
  std::string line;
  std::string name_key;
  while (std::getline(lines, line)) {
    if (line.starts_with('#') && !trimmed(line).empty()) return trimmed(line);
    for (const std::string_view key : {"name:", "title:"})
      if (name_key.empty() && line.starts_with(key))
        name_key = unquoted(trimmed(std::string_view(line).substr(key.size())));
    if (suffix == "csv") return table_summary(text, line);  // a table without a heading comment
  }
  return name_key;
}

Library::Library() {
  for (const detail::EmbeddedFile& file : detail::embedded_files()) {
    LibraryEntry entry = entry_at(file.path);
    entry.path = fmt::format("library:{}", file.path);
    for (const std::string_view chunk : file.chunks) entry.text += chunk;
    put(std::move(entry));
  }
}

void Library::put(LibraryEntry entry) {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), entry,
                                   [](const auto& a, const auto& b) { return order(a) < order(b); });
  if (at != entries_.end() && order(*at) == order(entry))
    *at = std::move(entry);
  else
    entries_.insert(at, std::move(entry));
}

void Library::overlay(const std::string& directory) {
  std::error_code error;
  std::size_t added = 0, seen = 0;
  for (auto at = fs::recursive_directory_iterator(directory, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    const fs::path& path = at->path();
    if (++seen > kMostFiles)
      throw ConfigError(fmt::format("--library: {} holds more than {} files; is it the right folder?",
                                    directory, kMostFiles));
    std::error_code unknown;  // what cannot be asked is no file of ours
    if (!at->is_regular_file(unknown) || (path.extension() != ".yaml" && path.extension() != ".csv"))
      continue;
    LibraryEntry entry = entry_at(path.lexically_relative(directory).generic_string());
    entry.path = path.generic_string();
    entry.text = file_text(path);
    put(std::move(entry));
    ++added;
  }
  if (error)
    throw ConfigError(fmt::format("--library: cannot read the folder {}: {}", directory, error.message()));
  if (added == 0)
    throw ConfigError(
        fmt::format("--library: {} holds no .yaml or .csv file; it is laid out as models/NAME.yaml, "
                    "hardware/NAME.yaml, ...",
                    directory));
}

std::vector<std::string> Library::folders() const {
  std::vector<std::string> folders;
  for (const LibraryEntry& entry : entries_)
    if (folders.empty() || folders.back() != entry.folder) folders.push_back(entry.folder);
  return folders;
}

std::vector<std::string> Library::names(std::string_view folder) const {
  std::vector<std::string> names;
  for (const LibraryEntry& entry : entries_)
    if (entry.folder == folder) names.push_back(entry.name);
  return names;
}

const LibraryEntry* Library::find(std::string_view folder, std::string_view name) const {
  for (const LibraryEntry& entry : entries_)
    if (entry.folder == folder && entry.name == name) return &entry;
  return nullptr;
}

std::vector<const LibraryEntry*> Library::find_anywhere(std::string_view name) const {
  std::vector<const LibraryEntry*> found;
  for (const LibraryEntry& entry : entries_)
    if (entry.name == name || entry.folder + "/" + entry.name == name) found.push_back(&entry);
  return found;
}

const LibraryEntry& Library::get(std::string_view folder, std::string_view name, std::string_view kind,
                                 std::string_view where) const {
  if (const LibraryEntry* entry = find(folder, name)) return *entry;
  const std::vector<std::string> legal = names(folder);
  const std::string near = nearest_name(name, legal);
  throw ConfigError(near.empty() ? fmt::format("{}: unknown {} '{}'; the library has: {}", where, kind,
                                               detail::shown(name), joined(legal))
                                 : fmt::format("{}: unknown {} '{}', did you mean '{}'?", where, kind,
                                               detail::shown(name), near));
}

}  // namespace runcast
