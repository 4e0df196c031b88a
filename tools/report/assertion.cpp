// Assertion: a recursive-descent reader of claims, and their evaluation over a JSON result.
#include "tools/report/assertion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "sim/config.hpp"
#include "sim/error.hpp"
#include "tools/report/formats.hpp"
#include "tools/report/number.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

struct Token {
  enum class Kind { word, text, symbol, end } kind = Kind::end;
  std::string text;
};

bool is_word_letter(char letter) {
  return std::isalnum(static_cast<unsigned char>(letter)) != 0 ||
         std::string_view("._[]+-").find(letter) != std::string_view::npos;
}

[[noreturn]] void refuse(const std::string& text, const std::string& why) {
  throw ConfigError(
      fmt::format("--assert '{}': {}; it is written like 'step.mfu > 0.38 and step.memory.fits'", text, why));
}

// Brackets inside brackets are read by recursion.
constexpr std::ptrdiff_t kMostBrackets = 100;

std::vector<Token> tokens_of(const std::string& text) {
  if (std::ranges::count(text, '(') > kMostBrackets)
    refuse(text.substr(0, 60) + "...", fmt::format("more than {} brackets", kMostBrackets));
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < text.size();) {
    const char letter = text[i];
    if (std::isspace(static_cast<unsigned char>(letter)) != 0) {
      ++i;
    } else if (is_word_letter(letter)) {
      std::size_t end = i;
      while (end < text.size() && is_word_letter(text[end])) ++end;
      tokens.push_back({Token::Kind::word, text.substr(i, end - i)});
      i = end;
    } else if (letter == '"' || letter == '\'') {
      const std::size_t end = text.find(letter, i + 1);
      if (end == std::string::npos) refuse(text, "a quote is not closed");
      tokens.push_back({Token::Kind::text, text.substr(i + 1, end - i - 1)});
      i = end + 1;
    } else if (std::string_view("<>=!()").find(letter) != std::string_view::npos) {
      const bool two = i + 1 < text.size() && text[i + 1] == '=' && letter != '(' && letter != ')';
      tokens.push_back({Token::Kind::symbol, text.substr(i, two ? 2 : 1)});
      i += two ? 2 : 1;
    } else {
      refuse(text, fmt::format("'{}' has no meaning here", letter));
    }
  }
  tokens.push_back({});
  return tokens;
}

std::optional<double> number_in(const std::string& word) {
  double value = 0;
  const char* begin = word.data() + (word.front() == '+' ? 1 : 0);
  const auto [end, error] = std::from_chars(begin, word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

// The keys of a path: "a.b[2].c" -> a, b, [2], c.
std::vector<std::string> steps_of(const std::string& path) {
  std::vector<std::string> steps;
  for (std::size_t i = 0; i < path.size();) {
    const bool index = path[i] == '[';
    const std::size_t close = index ? path.find(']', i) : path.find_first_of(".[", i);
    const std::size_t end = close == std::string::npos ? path.size() : close + (index ? 1 : 0);
    steps.push_back(path.substr(i, end - i));
    i = end < path.size() && path[end] == '.' ? end + 1 : std::max(end, i + 1);
  }
  return steps;
}

// The path that was likely meant: a key of the same map, or the same last key elsewhere in the result.
std::string nearest_path(const Json& result, const std::string& path, const Json& parent,
                         const std::string& reached, const std::string& key) {
  std::vector<std::string> keys;
  if (parent.is_object())
    for (const auto& [name, value] : parent.items()) keys.push_back(name);
  if (const std::string near = nearest_name(key, keys); !near.empty())
    return reached.empty() ? near : reached + "." + near;
  std::vector<std::string> paths;
  for (const Leaf& leaf : leaves(result)) {
    if (leaf.path.starts_with("scenario.")) continue;
    if (leaf.path.ends_with("." + path)) return leaf.path;
    paths.push_back(leaf.path);
  }
  return nearest_name(path, paths);
}

Json literal(const Token& token) {
  if (token.kind == Token::Kind::text) return token.text;
  if (token.text == "true") return true;
  if (token.text == "false") return false;
  if (const auto value = number_in(token.text)) return *value;
  return {};  // null: a path
}

bool compared(const std::string& operation, const Json& left, const Json& right, const std::string& text) {
  if (left.is_null() || right.is_null()) return false;
  const bool numbers = left.is_number() && right.is_number();
  const bool same_kind =
      numbers || (left.is_string() && right.is_string()) || (left.is_boolean() && right.is_boolean());
  if (!same_kind || (!numbers && operation != "==" && operation != "!="))
    refuse(text,
           fmt::format("{} and {} cannot be compared by {}", json_text(left), json_text(right), operation));
  if (!numbers) return (left == right) == (operation == "==");
  const double a = left.get<double>();
  const double b = right.get<double>();
  if (operation == "<") return a < b;
  if (operation == "<=") return a <= b;
  if (operation == ">") return a > b;
  if (operation == ">=") return a >= b;
  return (a == b) == (operation == "==");
}

}  // namespace

const Json& value_at(const Json& result, const std::string& path, const std::string& where) {
  const Json* value = &result;
  std::string reached;
  for (const std::string& step : steps_of(path)) {
    const Json* next = nullptr;
    if (step.starts_with('[') && step.ends_with(']') && value->is_array()) {
      std::size_t index = value->size();
      std::from_chars(step.data() + 1, step.data() + step.size() - 1, index);
      if (index < value->size()) next = &(*value)[index];
    } else if (value->is_object()) {
      if (const auto at = value->find(step); at != value->end()) next = &*at;
    }
    if (next == nullptr) {
      const std::string near = nearest_path(result, path, *value, reached, step);
      throw ConfigError(fmt::format(
          "{}: the result has no '{}'{}", where, path,
          near.empty() ? "; --format json shows what it has" : fmt::format(", did you mean '{}'?", near)));
    }
    value = next;
    reached += (reached.empty() || step.starts_with('[') ? "" : ".") + step;
  }
  return *value;
}

// A node: a comparison of two operands (a truth has only the left one), or claims joined by one word.
struct Assertion::Claim {
  std::string operation;      // "and", "or", "<", ..., "is true"
  std::vector<Claim> claims;  // of "and", "or"
  std::vector<Token> operands;

  static Claim joined(const std::string& word, const std::vector<Token>& tokens, std::size_t& at,
                      const std::function<Claim()>& part) {
    Claim claim{word, {part()}, {}};
    while (tokens[at].kind == Token::Kind::word && tokens[at].text == word) {
      ++at;
      claim.claims.push_back(part());
    }
    return claim.claims.size() == 1 ? std::move(claim.claims.front()) : std::move(claim);
  }

  static Claim any(const std::string& text, const std::vector<Token>& tokens, std::size_t& at) {
    return joined("or", tokens, at,
                  [&] { return joined("and", tokens, at, [&] { return one(text, tokens, at); }); });
  }

  static Token operand(const std::string& text, const std::vector<Token>& tokens, std::size_t& at) {
    const Token& token = tokens[at];
    const bool joins = token.kind == Token::Kind::word && (token.text == "and" || token.text == "or");
    if (joins || (token.kind != Token::Kind::word && token.kind != Token::Kind::text))
      refuse(text, token.kind == Token::Kind::end
                       ? "something is missing at its end"
                       : fmt::format("a name or a number is due before '{}'", token.text));
    return tokens[at++];
  }

  static Claim one(const std::string& text, const std::vector<Token>& tokens, std::size_t& at) {
    if (tokens[at].text == "(" && tokens[at].kind == Token::Kind::symbol) {
      Claim claim = any(text, tokens, ++at);
      if (tokens[at].text != ")") refuse(text, "a parenthesis is not closed");
      ++at;
      return claim;
    }
    Claim claim{"is true", {}, {operand(text, tokens, at)}};
    static const std::vector<std::string> kComparisons = {"<", "<=", ">", ">=", "==", "!="};
    const Token& next = tokens[at];
    if (next.kind != Token::Kind::symbol || next.text == ")") return claim;
    if (std::find(kComparisons.begin(), kComparisons.end(), next.text) == kComparisons.end())
      refuse(text, fmt::format("'{}' is no comparison (< <= > >= == !=)", next.text));
    claim.operation = next.text;
    ++at;
    claim.operands.push_back(operand(text, tokens, at));
    return claim;
  }

  Json value(const Token& token, const Json& result, const std::string& text, std::string& values) const {
    const Json own = literal(token);
    if (!own.is_null()) return own;
    const Json& found = value_at(result, token.text, fmt::format("--assert '{}'", text));
    values += fmt::format("{}{} is {}", values.empty() ? "" : ", ", token.text, json_text(found));
    return found;
  }

  bool holds(const Json& result, const std::string& text, std::string& values) const {
    if (!claims.empty()) {  // every part is looked at, so that a wrong path is told whatever the others say
      std::size_t true_ones = 0;
      for (const Claim& claim : claims) true_ones += claim.holds(result, text, values) ? 1U : 0U;
      return operation == "and" ? true_ones == claims.size() : true_ones > 0;
    }
    const Json left = value(operands.front(), result, text, values);
    if (operands.size() == 2)
      return compared(operation, left, value(operands.back(), result, text, values), text);
    if (!left.is_boolean())
      refuse(text, fmt::format("'{}' is neither true nor false", operands.front().text));
    return left.get<bool>();
  }
};

Assertion::Assertion(std::string text) : text_(std::move(text)) {
  const std::vector<Token> tokens = tokens_of(text_);
  std::size_t at = 0;
  claim_ = std::make_unique<Claim>(Claim::any(text_, tokens, at));
  if (tokens[at].kind != Token::Kind::end)
    refuse(text_, fmt::format("'{}' is one too many", tokens[at].text));
}
Assertion::~Assertion() = default;
Assertion::Assertion(Assertion&&) noexcept = default;
Assertion& Assertion::operator=(Assertion&&) noexcept = default;

Assertion::Verdict Assertion::judge(const Json& result) const {
  Verdict verdict;
  verdict.holds = claim_->holds(result, text_, verdict.values);
  return verdict;
}

}  // namespace runcast
