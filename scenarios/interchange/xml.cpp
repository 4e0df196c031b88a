// A recursive reader over the text; depth and number of elements are bounded before anything is kept.
#include "scenarios/interchange/xml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/error.hpp"
#include "sim/source_text.hpp"

namespace runcast {

namespace {

constexpr int kMaxDepth = 64;
constexpr int kMaxElements = 100'000;
constexpr std::size_t kMaxAttributes = 200;  // of one element: each is compared with those before it

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == ':' || c == '.';
}

class XmlReader {
 public:
  explicit XmlReader(const detail::Source& source) : source_(source), text_(source.text()) {}

  XmlElement read() {
    skip_between();
    XmlElement root = element(1);
    skip_between();
    if (at_ < text_.size()) fail("there is more after the only element");
    return root;
  }

 private:
  [[noreturn]] void fail(const std::string& sentence) const {
    detail::refuse(source_, source_.place_of(std::min(at_, text_.size())), sentence);
  }
  bool comes(std::string_view word) const { return text_.compare(at_, word.size(), word) == 0; }
  void expect(std::string_view word) {
    if (!comes(word)) fail(fmt::format("'{}' is expected here", word));
    at_ += word.size();
  }
  void skip_blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }
  void skip_past(std::string_view end) {
    const std::size_t found = text_.find(end, at_);
    if (found == std::string::npos) fail(fmt::format("there is no '{}' to this", end));
    at_ = found + end.size();
  }
  // Blanks, comments and processing instructions.
  void skip_between() {
    for (skip_blanks(); at_ < text_.size(); skip_blanks()) {
      if (comes("<!--"))
        skip_past("-->");
      else if (comes("<?"))
        skip_past("?>");
      else if (comes("<!"))
        fail("document types and entities are not read");
      else
        return;
    }
  }
  std::string name() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_name(text_[at_])) ++at_;
    if (begin == at_) fail("a name is expected here");
    return std::string(text_.substr(begin, at_ - begin));
  }
  std::string value() {
    if (!comes("\"") && !comes("'")) fail("a value in quotes is expected here");
    const char quote = text_[at_++];
    std::string out;
    for (; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (text_[at_] == '<') fail("'<' cannot stand in a value");
      if (text_[at_] == '&')
        out += entity();
      else
        out += text_[at_];
    }
    if (at_ == text_.size()) fail("a value has no end");
    ++at_;
    return out;
  }
  char entity() {
    constexpr std::array<std::pair<std::string_view, char>, 5> kEntities = {
        {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}}};
    for (const auto& [word, letter] : kEntities)
      if (comes(word)) {
        at_ += word.size() - 1;
        return letter;
      }
    fail("only the entities lt, gt, amp, quot and apos are read");
  }
  XmlElement element(int depth) {
    if (depth > kMaxDepth) fail(fmt::format("elements are more than {} deep", kMaxDepth));
    if (++elements_ > kMaxElements) fail(fmt::format("there are more than {} elements", kMaxElements));
    XmlElement out;
    out.line = source_.place_of(at_).line;
    expect("<");
    out.name = name();
    for (skip_blanks(); !comes(">") && !comes("/>"); skip_blanks()) {
      std::string key = name();
      if (out.attributes.size() == kMaxAttributes)
        fail(fmt::format("an element has more than {} attributes", kMaxAttributes));
      if (std::ranges::any_of(out.attributes, [&](const auto& a) { return a.first == key; }))
        fail(fmt::format("the attribute '{}' is there twice", key));
      skip_blanks();
      expect("=");
      skip_blanks();
      out.attributes.emplace_back(std::move(key), value());
    }
    if (comes("/>")) {
      at_ += 2;
      return out;
    }
    expect(">");
    for (skip_between(); !comes("</"); skip_between()) {
      if (!comes("<"))
        fail(at_ < text_.size() ? "text between elements is not read"
                                : fmt::format("the element '{}' has no end", out.name));
      out.children.push_back(element(depth + 1));
    }
    at_ += 2;
    if (const std::string end = name(); end != out.name)
      fail(fmt::format("'{}' is ended by '{}'", out.name, end));
    skip_blanks();
    expect(">");
    return out;
  }

  const detail::Source& source_;
  std::string_view text_;
  std::size_t at_ = 0;
  int elements_ = 0;
};

}  // namespace

std::string_view XmlElement::attribute(std::string_view key) const {
  const auto found =
      std::ranges::find(attributes, key, [](const auto& a) -> std::string_view { return a.first; });
  return found == attributes.end() ? std::string_view() : found->second;
}

XmlElement parse_xml(const std::string& text, const std::string& where) {
  const detail::Source source = detail::checked_source(text, where);
  return XmlReader(source).read();
}

}  // namespace runcast
