// The files of tools/report/html and D3, embedded at build time (embed_html.cmake).
#pragma once

#include <span>
#include <string_view>

namespace runcast {

struct HtmlFile {
  std::string_view name;
  std::span<const std::string_view> chunks;
};
std::span<const HtmlFile> html_files();

}  // namespace runcast
