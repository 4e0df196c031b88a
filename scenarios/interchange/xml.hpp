// XML as elements with attributes, for files that machines wrote (NCCL's topology): what a dump needs and nothing that
// could grow. Refused: document types and entities of one's own, more depth, elements or attributes than any dump has, text between
// elements. Errors are located, FILE:LINE:COLUMN.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace runcast {

struct XmlElement {
  std::string name;
  std::vector<std::pair<std::string, std::string>> attributes;  // in file order
  std::vector<XmlElement> children;
  int line = 0;

  // "" when the element has no such attribute.
  std::string_view attribute(std::string_view key) const;
};

// The only element at the top. Throws ConfigError.
XmlElement parse_xml(const std::string& text, const std::string& where);

}  // namespace runcast
