// A scenario of the library, opened as the command line opens it.
#pragma once

#include <string_view>

#include "scenarios/library.hpp"
#include "sim/config.hpp"
#include "sim/error.hpp"

namespace runcast {

inline Document library_run(const Library& library, std::string_view name) {
  const LibraryEntry* entry = library.find("runs", name);
  INVARIANT(entry != nullptr);
  return Document::parse(entry->text, entry->path);
}

}  // namespace runcast
