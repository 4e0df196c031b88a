// A text of letters, bars and repetitions; the grammar is small enough to be read by hand.
#include "scenarios/interchange/pipeline_layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "sim/error.hpp"

namespace runcast {
namespace {

constexpr std::size_t kMostLetters = 100'000;  // after repetition: more layers and stages than any model has
constexpr int kDeepest = 8;

[[noreturn]] void refuse(const std::string& sentence) { throw ConfigError(sentence); }

// Letters and bars without repetitions.
class Unrolling {
 public:
  explicit Unrolling(std::string_view text) : text_(text) {}

  std::string all() {
    std::string letters = sequence(0);
    if (at_ < text_.size()) refuse("has a ')' that nothing opens");
    return letters;
  }

 private:
  std::string sequence(int depth) {
    if (depth > kDeepest) refuse(fmt::format("nests parentheses more than {} deep", kDeepest));
    std::string out;
    while (at_ < text_.size() && text_[at_] != ')') {
      const char c = text_[at_++];
      if (c == ',' || c == ' ') continue;
      std::string item(1, c);
      if (c == '(') {
        item = sequence(depth + 1);
        if (at_ == text_.size()) refuse("has a '(' that nothing closes");
        ++at_;
      } else if (std::string_view("EtmL|").find(c) == std::string_view::npos) {
        refuse(fmt::format(
            "has '{}': known are E embedding, t transformer layer, m prediction layer, L loss, | next stage, "
            "x*n and (...)*n",
            std::isprint(static_cast<unsigned char>(c)) != 0 ? std::string(1, c) : "?"));
      }
      const std::size_t times = repetition();
      if (out.size() + item.size() * times > kMostLetters)
        refuse(fmt::format("has more than {} letters when its repetitions are written out", kMostLetters));
      for (std::size_t i = 0; i < times; ++i) out += item;
    }
    return out;
  }

  // "*29" after an item; 1 without.
  std::size_t repetition() {
    if (at_ == text_.size() || text_[at_] != '*') return 1;
    ++at_;
    std::size_t times = 0, digits = 0;
    for (; at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0; ++at_, ++digits)
      times = std::min(kMostLetters + 1, times * 10 + static_cast<std::size_t>(text_[at_] - '0'));
    if (digits == 0) refuse("has a '*' without a number");
    return times;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

PipelineLayout read_pipeline_layout(std::string_view text) {
  const std::string letters = Unrolling(text).all();
  if (!letters.starts_with('E')) refuse("has to begin with the embedding, E");
  if (!letters.ends_with('L')) refuse("has to end with the loss, L");
  PipelineLayout out;
  out.layers.push_back(0);
  for (std::size_t i = 0; i < letters.size(); ++i) {
    const char c = letters[i];
    const auto stage = static_cast<std::int64_t>(out.layers.size()) - 1;
    if (c == 'E' && i > 0) refuse("has a second embedding, E");
    if (c == 'L' && i + 1 < letters.size()) refuse("has a second loss, L");
    if (c == '|') out.layers.push_back(0);
    if (c == 't') {
      if (out.predicted > 0) refuse("has a transformer layer, t, after a prediction layer, m");
      ++out.layers.back();
    }
    if (c != 'm') continue;
    if (out.predicted > 0 && out.predicted_stage != stage) refuse("has prediction layers, m, in two stages");
    ++out.predicted;
    out.predicted_stage = stage;
  }
  return out;
}

std::string pipeline_layout_text(std::span<const std::int64_t> layers, std::int64_t predicted) {
  const auto letters = [](char letter, std::int64_t n) {
    return n <= 2 ? std::string(static_cast<std::size_t>(n), letter) : fmt::format("{}*{}", letter, n);
  };
  std::string out = "E";
  for (std::size_t i = 0; i < layers.size();) {
    std::size_t end = i + 1;  // of equal stages, neither the first nor the last
    while (i > 0 && end + 1 < layers.size() && layers[end] == layers[i]) ++end;
    const std::string stage = letters('t', layers[i]);
    if (end - i > 1)
      out += fmt::format("({}|)*{}", stage, end - i);
    else
      out += stage + (end < layers.size() ? "|" : "");
    i = end;
  }
  return out + letters('m', predicted) + "L";
}

}  // namespace runcast
