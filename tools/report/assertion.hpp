// `--assert 'step.mfu > 0.38 and step.memory.fits'`: a claim about a result that makes it a gate.
//   claim      = all { "or" all }
//   all        = one { "and" one }
//   one        = "(" claim ")" | operand [ ("<" | "<=" | ">" | ">=" | "==" | "!=") operand ]
//   operand    = number | "text" | true | false | path into the result (step.memory.stages[0].total_gib)
// A path alone must be true or false. Leaves out: arithmetic, negation.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace runcast {

class Assertion {
 public:
  // Throws ConfigError for text that is no claim, so that it is told before anything is simulated.
  explicit Assertion(std::string text);
  ~Assertion();
  Assertion(Assertion&&) noexcept;
  Assertion& operator=(Assertion&&) noexcept;

  struct Verdict {
    bool holds = false;
    std::string values;  // "step.mfu is 0.371": every path that the claim names
  };
  // Throws ConfigError for a path that the result does not have (with the nearest one) and for values that
  // cannot be compared. A null never satisfies a comparison.
  Verdict judge(const nlohmann::ordered_json& result) const;
  const std::string& text() const { return text_; }

 private:
  struct Claim;
  std::string text_;
  std::unique_ptr<Claim> claim_;
};

// The value at `path`. Throws ConfigError that starts with `where` and names the nearest path.
const nlohmann::ordered_json& value_at(const nlohmann::ordered_json& result, const std::string& path,
                                       const std::string& where);

}  // namespace runcast
