// Reading of a study file, and its points by index.
#include "scenarios/study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/error.hpp"
#include "sim/random.hpp"

namespace runcast {

namespace {

constexpr std::array<std::string_view, 5> kDesigns = {"grid", "zip", "list", "random", "latin_hypercube"};
constexpr std::array<std::string_view, 2> kAnswers = {"step", "run"};
constexpr std::array<std::string_view, 2> kScales = {"linear", "log"};
constexpr std::int64_t kMostPoints = 100'000'000;
// Addresses of a study's draws, apart from those of other samplings.
constexpr std::uint64_t kDraws = 1'000'000, kPermutations = 2'000'000;

StudyKey read_key(Section s, bool sampled) {
  StudyKey key;
  key.key = s.text("key");
  if (s.has("values")) {
    key.values = s.texts("values");
    if (s.ok() && key.values.empty()) s.fail("values", "a key needs at least one value");
    return key;
  }
  if (!sampled) {
    s.fail("values", "a key of this design needs values: [...]; ranges are for random and latin_hypercube");
    return key;
  }
  key.from = s.number("from");
  key.to = s.number("to");
  key.unit = s.text("unit", "");
  key.logarithmic = s.choice("scale", kScales, "linear") == "log";
  key.integer = s.flag("integer", false);
  if (s.ok() && (!(key.from <= key.to) || (key.logarithmic && !(key.from > 0))))
    s.fail("from", "a range goes from a smaller to a larger number, above 0 where its scale is log");
  return key;
}

std::int64_t points_of(Section& root, const Study& study) {
  if (study.design == Design::list) return static_cast<std::int64_t>(study.points.size());
  if (study.design == Design::random || study.design == Design::latin_hypercube) return root.count("count");
  std::int64_t product = 1;
  for (const StudyKey& key : study.keys) {
    const auto n = static_cast<std::int64_t>(key.values.size());
    if (study.design == Design::zip) {
      if (n != static_cast<std::int64_t>(study.keys.front().values.size()))
        root.fail("keys", "zipped keys have lists of equal length");
      product = n;
    } else if (product <= kMostPoints) {
      product *= std::max<std::int64_t>(n, 1);
    }
  }
  return product;
}

// Where index i of n comes in a shuffled order of its own: Fisher-Yates would need all of them, a cycle-walking
// Feistel network needs none (Black & Rogaway 2002).
std::uint64_t shuffled(std::uint64_t i, std::uint64_t n, std::uint64_t seed, std::uint64_t component) {
  std::uint64_t half = 1;
  while ((1ULL << (2 * half)) < n) ++half;
  const std::uint64_t mask = (1ULL << half) - 1;
  do {
    std::uint64_t left = i >> half, right = i & mask;
    for (std::uint64_t round = 0; round < 4; ++round) {
      RandomStream stream(seed, Purpose::sampling, kPermutations + component * 4 + round, right);
      const std::uint64_t mixed = left ^ (stream.below(mask + 1));
      left = right;
      right = mixed;
    }
    i = (left << half) | right;
  } while (i >= n);
  return i;
}

// The value at `share` of the way through a key's range or list.
std::string value_at(const StudyKey& key, double share) {
  if (!key.values.empty()) {
    const auto n = static_cast<double>(key.values.size());
    return key.values[static_cast<std::size_t>(std::min(n - 1, std::floor(share * n)))];
  }
  const double value = key.logarithmic ? key.from * std::pow(key.to / key.from, share)
                                       : key.from + share * (key.to - key.from);
  const std::string text = key.integer ? fmt::format("{:.0f}", std::min(key.to, std::floor(value + 0.5)))
                                       : fmt::format("{:.6g}", value);
  return key.unit.empty() ? text : text + " " + key.unit;
}

}  // namespace

std::vector<std::string> Study::point(std::int64_t index) const {
  INVARIANT(index >= 0 && index < count);
  if (design == Design::list) return points[static_cast<std::size_t>(index)];
  std::vector<std::string> sets(keys.size());
  std::int64_t rest = index;
  for (std::size_t k = keys.size(); k-- > 0;) {
    const StudyKey& key = keys[k];
    const auto n = static_cast<std::int64_t>(key.values.size());
    std::string value;
    if (design == Design::grid) {
      value = key.values[static_cast<std::size_t>(rest % n)];
      rest /= n;
    } else if (design == Design::zip) {
      value = key.values[static_cast<std::size_t>(index)];
    } else {
      const auto i = static_cast<std::uint64_t>(index), all = static_cast<std::uint64_t>(count);
      RandomStream stream(seed, Purpose::sampling, kDraws + k, i);
      const double u = stream.uniform();
      value = design == Design::random ? value_at(key, u)
                                       : value_at(key, (static_cast<double>(shuffled(i, all, seed, k)) + u) /
                                                           static_cast<double>(all));
    }
    sets[k] = key.key + "=" + value;
  }
  return sets;
}

Study read_study(Document& document, const std::string& text, const Library& library) {
  Study study;
  Section root = document.root();
  const std::string scenario = root.text("scenario");
  study.design = static_cast<Design>(std::ranges::find(kDesigns, root.choice("design", kDesigns, "grid")) -
                                     kDesigns.begin());
  const bool sampled = study.design == Design::random || study.design == Design::latin_hypercube;
  const std::vector<std::string> sets = root.texts("set");
  if (study.design == Design::list) {
    for (Section point : root.list("points")) study.points.push_back(point.texts("set"));
    if (root.ok() && study.points.empty())
      root.fail("points", "a list needs points: [{set: [KEY=VALUE, ...]}, ...]");
  } else {
    for (Section key : root.list("keys")) study.keys.push_back(read_key(key, sampled));
    if (root.ok() && study.keys.empty())
      root.fail("keys", "a study needs keys: [{key: KEY, values: [...]}, ...]");
  }
  if (sampled) study.seed = static_cast<std::uint64_t>(root.count("seed", 1));
  if (root.ok()) study.count = points_of(root, study);
  if (root.ok() && (study.count < 1 || study.count > kMostPoints))
    root.fail("keys", fmt::format("a study has between 1 and {} points, not {}", kMostPoints, study.count));
  study.whole_run = root.choice("answer", kAnswers, "step") == "run";
  study.results = root.texts("results");
  if (study.results.empty()) {
    study.results = {"step.time_s", "step.tokens_per_s_per_gpu", "step.mfu", "step.memory.peak_gib",
                     "step.memory.fits"};
    if (study.whole_run)
      for (const char* more : {"run.days.mean", "run.goodput.mean", "cost.usd", "cost.energy_mwh"})
        study.results.emplace_back(more);
  }
  if (auto pivot = root.optional_section("pivot"))
    study.pivot = Pivot{pivot->text("rows"), pivot->text("columns"), pivot->text("value")};
  document.finish();
  study.source = scenario_source(scenario, library);
  study.source.sets = sets;
  study.hash = hash_of(text + "\n" + study.source.text);
  return study;
}

}  // namespace runcast
