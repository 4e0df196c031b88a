// Which inputs a document answers: equal hashes mean equal inputs.
#pragma once

#include <string>

namespace runcast {

// FNV-1a of the text, as 16 hexadecimal digits.
std::string hash_of(const std::string& text);

}  // namespace runcast
