// See the header.
#include "scenarios/provenance.hpp"

#include <fmt/format.h>

#include <cstdint>

namespace runcast {

std::string hash_of(const std::string& text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return fmt::format("{:016x}", hash);
}

}  // namespace runcast
