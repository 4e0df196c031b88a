// The library of models, hardware, fabrics, failures, runs and published measurements: the files under
// scenarios/library, embedded into the binary at build time (embed_library.cmake), so that an installed
// binary needs no path. `--library DIR` lays a folder of the same shape over it. Leaves out: what the files
// mean.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace runcast {

struct LibraryEntry {
  std::string folder;  // "models"; the path under the library's root, '/' between levels
  std::string name;    // the file's name without its suffix: "llama3-405b"
  std::string suffix;  // "yaml" or "csv"
  std::string path;  // what errors print as the file: "library:models/llama3-405b.yaml", "DIR/models/x.yaml"
  std::string text;  // the file, its lines ended by LF

  // One line for a listing: the first comment of the file, else its `name:` or `title:`, else (a table) its
  // size and first columns; "" when it has none.
  std::string summary() const;
};

class Library {
 public:
  Library();  // what was embedded

  // Adds every .yaml and .csv under `directory`; an entry of the same folder and name is replaced.
  // Throws ConfigError when it cannot be read or holds no entry.
  void overlay(const std::string& directory);

  const std::vector<LibraryEntry>& entries() const { return entries_; }  // by folder, then name
  std::vector<std::string> folders() const;                              // in order, each once
  std::vector<std::string> names(std::string_view folder) const;  // in order; candidates for "did you mean"

  const LibraryEntry* find(std::string_view folder, std::string_view name) const;  // nullptr when absent
  std::vector<const LibraryEntry*> find_anywhere(std::string_view name) const;     // "NAME" or "FOLDER/NAME"
  // As find; throws ConfigError: `WHERE: unknown model 'llama3-40b', did you mean 'llama3-405b'?` and the
  // legal names when none is near. `kind` is the word for one entry ("model").
  const LibraryEntry& get(std::string_view folder, std::string_view name, std::string_view kind,
                          std::string_view where) const;

 private:
  std::vector<LibraryEntry> entries_;
  void put(LibraryEntry entry);
};

namespace detail {

// A file as the generated source holds it: in chunks, since compilers must only take literals of 65,536
// bytes.
struct EmbeddedFile {
  std::string_view path;  // under the library's root: "models/llama3-405b.yaml"
  std::span<const std::string_view> chunks;
};
std::span<const EmbeddedFile> embedded_files();  // defined by the generated source

}  // namespace detail
}  // namespace runcast
