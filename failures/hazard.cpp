// Reading of failure classes and sums of their rates; see the header for the laws.
#include "failures/hazard.hpp"

#include <algorithm>
#include <cmath>

#include "failures/limits.hpp"

namespace runcast {

namespace {

template <std::size_t N>
std::size_t index_of(const std::array<std::string_view, N>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? 0 : static_cast<std::size_t>(found - names.begin());
}

void skip_prose(Section section) {
  for (const char* key : {"note", "source"})
    if (section.has(key)) section.skip(key);
}

double share(Section& section, std::string_view key, double fallback) {
  const double read = section.number(key, fallback);
  if (section.ok() && !(read >= 0 && read <= 1))
    section.fail(key, fmt::format("{} is a share or a probability, between 0 and 1", key));
  return std::clamp(read, 0.0, 1.0);
}

double within(Section& section, std::string_view key, double read, double low, double high,
              std::string_view what) {
  if (section.ok() && !(read >= low && read <= high))
    section.fail(key, fmt::format("{} is from {} to {}", what, low, high));
  return std::clamp(read, low, high);
}

bool is_place(Domain domain) { return domain != Domain::job && domain != Domain::storage; }

void read_domain(Section section, FailureClass& failure) {
  failure.domain =
      static_cast<Domain>(index_of(kDomainNames, section.choice("domain", kDomainNames, "node")));
  const bool many = failure.domain == Domain::group ||
                    (failure.domain >= Domain::leaf && failure.domain != Domain::storage);
  failure.size = many ? 0 : 1;
  if (failure.domain == Domain::group || (many && section.has("size"))) {
    failure.size = section.count("size");
    if (section.ok() && (failure.size < 1 || failure.size > kLargestGroup))
      section.fail("size", fmt::format("a group has from 1 to {} nodes", kLargestGroup));
  }
  if (many) failure.blast = share(section, "blast", failure.blast);
}

void read_rate(Section section, FailureClass& failure) {
  failure.rate = section.event_rate("rate");
  const std::string& per = failure.rate.per;
  const std::string_view own = kDomainNames[static_cast<std::size_t>(failure.domain)];
  const bool domain = is_place(failure.domain) && per == own;
  if (!per.empty() && per != "node" && per != "gpu" && per != "group" && !domain)
    section.fail("rate",
                 "a failure rate is per node, gpu, group or whole job; write 3.0e-3 /node-day or 0.9 /day");
  else if (per == "group" && failure.domain != Domain::group)
    section.fail("rate", "a rate per group needs domain: group and its size in nodes");
  else if (failure.rate.rate > kHighestRate)
    section.fail("rate", fmt::format("a failure rate must be from 0 to {} /{}hour, one every second",
                                     kHighestRate.value * kHour, per.empty() ? "" : per + "-"));
  failure.observed = section.count("observed", 0);
}

void read_law(Section section, FailureClass& failure) {
  failure.law = static_cast<Law>(index_of(kLawNames, section.choice("law", kLawNames, "exponential")));
  if (failure.law == Law::exponential) return;
  failure.shape = section.number("shape");
  const bool lognormal = failure.law == Law::lognormal;
  const double low = lognormal ? 0.01 : 0.1, high = lognormal ? kLargestSpread : 10;
  if (section.ok() && !(failure.shape >= low && failure.shape <= high))
    section.fail("shape", fmt::format("the shape of a {} law is from {} to {}",
                                      kLawNames[static_cast<std::size_t>(failure.law)], low, high));
}

void read_slow(Section section, FailureClass& failure) {
  // 27 jobs of 512 GPUs and more: mean 72 min (GREYHOUND, ATC'25).
  failure.duration = limited(section, "duration", section.seconds("duration", Seconds(72 * kMinute)));
  failure.slowdown = section.number("slowdown");
  if (section.ok() && !(failure.slowdown >= 1 && failure.slowdown <= kLargestSlowdown))
    section.fail("slowdown", fmt::format("a slowdown is step time over normal step time: from 1 to {}",
                                         kLargestSlowdown));
  failure.slowdown_spread = within(section, "slowdown_spread", section.number("slowdown_spread", 0), 0,
                                   kLargestSpread, "the spread (sigma of a lognormal law)");
  failure.duration_spread = within(section, "duration_spread", section.number("duration_spread", 0), 0,
                                   kLargestSpread, "the spread (sigma of a lognormal law)");
  if (section.has("sensitivity") && section.kind("sensitivity") == NodeKind::scalar &&
      section.text("sensitivity") != "auto")
    failure.sensitivity = share(section, "sensitivity", 1);
  failure.evict = section.flag("evict", false);
  // 10 s with a tool that watches, hours without: GREYHOUND (ATC'25); 1 h is a choice.
  if (failure.evict && !failure.detect) failure.detect = section.seconds("detect", Seconds(kHour));
}

void read_effect(Section section, FailureClass& failure) {
  failure.action =
      static_cast<Action>(index_of(kActionNames, section.choice("action", kActionNames, "swap")));
  if (section.has("detect")) failure.detect = limited(section, "detect", section.seconds("detect"));
  const auto time = [&](std::string_view key, Seconds fallback) {
    return limited(section, key, section.seconds(key, fallback));
  };
  switch (failure.action) {
    case Action::swap:
    case Action::preempt:
      failure.own_repair = section.has("repair");
      failure.repair = time("repair", failure.repair);
      // AWS tells 2 min before, GCP and Azure 30 s.
      if (failure.action == Action::preempt) failure.notice = time("notice", Seconds(120));
      break;
    case Action::corrupt:
      // Hours before, minutes with replay of suspicious steps: Gemini 2.5 report, sec. 2.3.
      if (!failure.detect) failure.detect = section.seconds("detect", Seconds(8 * kHour));
      break;
    case Action::planned:
      failure.duration = time("duration", failure.duration);
      break;
    case Action::slow:
      read_slow(section, failure);
      break;
    case Action::rollback:
      failure.lookback = time("lookback", Seconds(kHour));  // hours of work (OPT's and GLM's log books)
      break;
    case Action::outage:
      failure.duration = time("duration", Seconds(kHour));  // assumption
      break;
    case Action::stall:
      failure.duration = time("duration", Seconds(2));  // link flaps: 0.5-3 s
      break;
    case Action::reset:
    case Action::retry:
      break;
  }
}

FailureClass read_class(Section section) {
  FailureClass failure;
  failure.name = section.text("name");
  read_domain(section, failure);
  read_rate(section, failure);
  read_law(section, failure);
  read_effect(section, failure);
  const bool takes = failure.action == Action::swap || failure.action == Action::preempt;
  if (takes && !has_victims(failure))
    section.fail("action", fmt::format("an event of the whole {} names no node to swap; legal: reset retry "
                                       "planned corrupt slow rollback outage stall",
                                       kDomainNames[static_cast<std::size_t>(failure.domain)]));
  skip_prose(section);
  return failure;
}

void read_lemons(Section section, LemonNodes& lemons) {
  lemons.fraction = share(section, "fraction", lemons.fraction);
  lemons.multiplier = within(section, "multiplier", section.number("multiplier", lemons.multiplier), 1,
                             kLargestSlowdown, "how much more often lemons fail");
}

void read_young(Section section, YoungNodes& young) {
  young.factor = within(section, "factor", section.number("factor", 3), 1, kLargestSlowdown,
                        "how much more often new nodes fail");
  young.decay = limited(section, "decay", section.seconds("decay", young.decay));
  young.age = limited(section, "age", section.seconds("age", young.age), kLongestInterval);
  if (section.ok() && !(young.decay.value > 0)) section.fail("decay", "decay must be longer than 0");
}

}  // namespace

std::int64_t JobScale::nodes_in(Domain domain) const {
  switch (domain) {
    case Domain::leaf:
      return std::min(nodes, nodes_per_leaf);
    case Domain::rack:
      return std::min(nodes, nodes_per_rack);
    case Domain::row:
      return std::min(nodes, nodes_per_row);
    case Domain::pod:
      return std::min(nodes, nodes_per_pod);
    case Domain::job:
    case Domain::storage:
    case Domain::facility:
      return nodes;
    case Domain::node:
    case Domain::group:
    case Domain::link:
    case Domain::nic:
      break;
  }
  return 1;
}

bool has_victims(const FailureClass& failure) { return is_place(failure.domain); }

bool unplanned(Action action) {
  return action == Action::swap || action == Action::reset || action == Action::retry ||
         action == Action::corrupt || action == Action::rollback || action == Action::preempt;
}

bool of_single_nodes(const FailureClass& failure) {
  return failure.domain == Domain::node &&
         (failure.action == Action::swap || failure.action == Action::reset);
}

FailureModel read_failures(Section section) {
  FailureModel model;
  if (section.has("name")) section.skip("name");
  skip_prose(section);
  model.clock =
      static_cast<HazardClock>(index_of(kClockNames, section.choice("clock", kClockNames, "always")));
  for (const Section& entry : section.list("classes")) model.classes.push_back(read_class(entry));
  if (auto lemons = section.optional_section("lemons")) read_lemons(*lemons, model.lemons);
  if (auto young = section.optional_section("young")) read_young(*young, model.young);
  model.co_occurring = share(section, "co_occurring", 0);
  for (std::size_t i = 0; i < model.classes.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (section.ok() && model.classes[i].name == model.classes[j].name)
        section.fail("classes", "two failure classes are named '" + model.classes[i].name + "'");
  return model;
}

double step_factor(const FailureClass& failure, double slowdown) {
  if (failure.sensitivity) return 1 + *failure.sensitivity * (slowdown - 1);
  if (failure.response.empty()) return slowdown;
  SlowPoint low, high = failure.response.front();
  for (std::size_t i = 1; i < failure.response.size() && slowdown > high.slowdown; ++i) {
    low = high;
    high = failure.response[i];
  }
  const double line = (high.step - low.step) / (high.slowdown - low.slowdown);
  return std::max(1.0, low.step + line * (slowdown - low.slowdown));
}

FailureModel without_preemption(FailureModel model) {
  std::erase_if(model.classes, [](const FailureClass& f) { return f.action == Action::preempt; });
  return model;
}

std::int64_t domain_size(const FailureClass& failure, const JobScale& scale) {
  if (!has_victims(failure)) return scale.nodes;
  return std::min(scale.nodes, failure.size > 0 ? failure.size : scale.nodes_in(failure.domain));
}

double mean_victims(const FailureClass& failure, const JobScale& scale) {
  if (!has_victims(failure)) return 0;
  const auto size = static_cast<double>(domain_size(failure, scale));
  return size * failure.blast + std::pow(1 - failure.blast, size);  // where none is hit one is taken
}

EventRate system_rate(const FailureClass& failure, const JobScale& scale) {
  const std::string& per = failure.rate.per;
  const auto nodes = static_cast<double>(scale.nodes);
  double components = 1;
  if (per == "node") components = nodes;
  if (per == "gpu") components = static_cast<double>(scale.gpus());
  if (per == "nic" || per == "link") components = nodes * static_cast<double>(scale.nics_per_node);
  if (per == "group") components = nodes / static_cast<double>(failure.size);
  if (per == "leaf" || per == "rack" || per == "row" || per == "pod" || per == "facility")
    components = nodes / static_cast<double>(domain_size(failure, scale));
  return failure.rate.rate * components;
}

EventRate unplanned_rate(const FailureModel& model, const JobScale& scale) {
  EventRate sum;
  for (const FailureClass& failure : model.classes)
    if (unplanned(failure.action)) sum += system_rate(failure, scale);
  return sum;
}

EventRate node_rate(const FailureModel& model, const JobScale& scale) {
  EventRate sum;
  for (const FailureClass& failure : model.classes)
    if (of_single_nodes(failure)) sum += system_rate(failure, scale);
  return sum / static_cast<double>(scale.nodes);
}

EventRate swap_rate(const FailureModel& model, const JobScale& scale) {
  EventRate sum;
  for (const FailureClass& failure : model.classes)
    if (failure.action == Action::swap || failure.action == Action::preempt)
      sum += system_rate(failure, scale) * mean_victims(failure, scale);
  return sum;
}

Seconds mean_repair(const FailureModel& model, const JobScale& scale) {
  const double total = swap_rate(model, scale).value;
  if (total == 0) return Seconds(0);
  double weighted = 0;
  for (const FailureClass& failure : model.classes)
    if (failure.action == Action::swap || failure.action == Action::preempt)
      weighted += system_rate(failure, scale).value * mean_victims(failure, scale) * failure.repair.value;
  return Seconds(weighted / total);
}

}  // namespace runcast
