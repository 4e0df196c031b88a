// Prices, power and carbon of a run; formulas as in the header.
#include "scenarios/economics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "scenarios/csv.hpp"

namespace runcast {

namespace {

// Coarse regional grid averages, to be overridden by `carbon_intensity` [Electricity Maps / IEA class figures].
constexpr std::array<Region, 5> kRegions = {
    {{"us-east", 0.38}, {"us-west", 0.22}, {"europe", 0.23}, {"asia-pacific", 0.55}, {"global", 0.47}}};
constexpr std::array<Unit, 2> kIntensityUnits = {{{"kg/kWh", 1}, {"g/kWh", 1e-3}}};
constexpr std::array<Unit, 2> kMassUnits = {{{"kg", 1}, {"t", 1e3}}};
constexpr double kJoulesPerKwh = 3.6e6;
// Lignite, the dirtiest, emits 1.1 to 1.5 kg/kWh by plant (IPCC 2014, AR5 WG3 annex III): twice that is no grid.
constexpr double kDirtiestGrid = 3;

double share_of(Section& s, std::string_view key, double fallback, double most = 1) {
  const double value = s.number(key, fallback);
  if (s.ok() && !(value >= 0 && value <= most))
    s.fail(key, fmt::format("{} must lie between 0 and {}", key, most));
  return value;
}

double read_intensity(Section& s, std::string_view key, double fallback) {
  const double value = s.quantity(key, kIntensityUnits, fallback);
  if (!s.ok() || value <= kDirtiestGrid) return value;
  s.fail(key, fmt::format("{} is at most {} kg/kWh: lignite, the dirtiest fuel, emits 1.1 to 1.5", key,
                          kDirtiestGrid));
  return fallback;
}

bool within(const PriceWindow& w, int hour) {
  return w.from < w.to ? hour >= w.from && hour < w.to : hour >= w.from || hour < w.to;
}

// The first hour of the day that both price, or -1.
int overlap(const PriceWindow& a, const PriceWindow& b) {
  for (int hour = 0; hour < 24; ++hour)
    if (within(a, hour) && within(b, hour)) return hour;
  return -1;
}

void read_windows(Section& s, Economics& e) {
  for (Section window : s.list("windows")) {
    PriceWindow w;
    w.from = static_cast<int>(std::min<std::int64_t>(25, window.count("from")));
    w.to = static_cast<int>(std::min<std::int64_t>(25, window.count("to")));
    w.factor = share_of(window, "price", 1, 100);
    if (window.ok() && (w.from > 23 || w.to > 24 || w.from == w.to))
      window.fail(
          "from",
          "a price window is from an hour of the day, 0 to 23, to another, 0 to 24: {from: 22, to: 6, "
          "price: 0.7}");
    for (const PriceWindow& other : e.windows)
      if (const int hour = overlap(other, w); window.ok() && hour >= 0)
        window.fail("from", fmt::format("two price windows have the hour from {} to {}", hour, hour + 1));
    e.windows.push_back(w);
  }
}

void read_spot(Section s, Economics& e) {
  Economics::Spot& spot = e.spot;
  spot.discount = share_of(s, "discount", spot.discount);
  spot.rate = s.event_rate("rate", spot.rate);
  if (s.ok() && (spot.rate.per != "node" || spot.rate.rate > EventRate(1)))
    s.fail("rate", "nodes are taken back at a rate each: 0.01 /node-hour, at most one a second");
  spot.notice = s.seconds("notice", spot.notice);
  spot.back = s.seconds("back", spot.back);
  if (s.ok() && std::max(spot.notice, spot.back) > Seconds(365 * kDay))
    s.fail("back", "times of spot capacity are at most 365 days");
  spot.fallback = s.flag("fallback", spot.fallback);
  const auto assume = [&](std::string_view key, std::vector<std::string>& list, const std::string& what) {
    if (!s.has(key))
      list.push_back(fmt::format(
          "Spot capacity: {} (economics.spot.{} is not given: always set your cloud's)", what, key));
  };
  if (e.capacity == Capacity::spot)
    assume("discount", e.assumptions, fmt::format("{:.0f} % off", 100 * spot.discount));
  assume("rate", spot.assumed,
         fmt::format("each node is taken back {:.3g} times an hour, measured are 0.0003 to 0.5",
                     spot.rate.rate.value * kHour));
  assume("notice", spot.assumed,
         fmt::format("a notice of {:.0f} s, as AWS gives; GCP and Azure 30 s", spot.notice.value));
  assume("back", spot.assumed,
         fmt::format("a node is there again after {:.3g} h on average", in_hours(spot.back)));
}

// What of power and carbon was taken from a default.
void list_assumed(const Section& s, Economics& e) {
  if (!s.has("pue")) e.assumptions.push_back(fmt::format("PUE {}: a data center of a large cloud", e.pue));
  if (!s.has("carbon_intensity") && e.hourly.empty())
    e.assumptions.push_back(fmt::format("Carbon intensity {} kg CO2e/kWh: a coarse average of the grid of {}",
                                        e.kg_per_kwh, e.region));
  if (!e.utilization && !s.has("power")) {
    std::string states;
    for (std::size_t i = 0; i < e.power.size(); ++i)
      states += fmt::format("{}{} {:.0f} %", i == 0 ? "" : ", ", kPowerStateNames[i], 100 * e.power[i]);
    e.assumptions.push_back("Power of a GPU, of the range from idle to TDP: " + states);
  }
}

double cell_number(const CsvTable& table, const CsvRow& row, std::size_t column, double most) {
  const std::string& text = row.cells[column];
  double value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size() || !(value >= 0 && value <= most))
    throw ConfigError(fmt::format("{}:{}: '{}' is no {} between 0 and {}", table.name, row.line, text,
                                  table.header[column], most));
  return value;
}

// Columns: kg_per_kwh, and where wanted region and price (a factor); one row an hour, in order.
std::vector<HourlySeries> read_hourly(const std::string& path) {
  const CsvTable table = parse_csv(read_text(path, "economics.hourly"), path);
  const auto carbon = table.column("kg_per_kwh"), place = table.column("region"),
             price = table.column("price");
  if (!carbon)
    throw ConfigError(
        fmt::format("{}:{}: hourly series need a column kg_per_kwh, and may have region and price (a factor "
                    "of the GPU-hour's)",
                    path, table.header_line));
  std::vector<HourlySeries> all;
  for (const CsvRow& row : table.rows) {
    const std::string name = place ? row.cells[*place] : std::string();
    auto found = std::ranges::find(all, name, &HourlySeries::region);
    if (found == all.end()) found = all.insert(all.end(), HourlySeries{name, {}, {}});
    found->kg_per_kwh.push_back(cell_number(table, row, *carbon, kDirtiestGrid));
    if (price) found->price.push_back(cell_number(table, row, *price, 100));
  }
  if (all.empty()) throw ConfigError(fmt::format("{}: it has no hour", path));
  return all;
}

void read_power(Section& s, Economics& e) {
  Section power = s.section_or_empty("power");
  for (std::size_t i = 0; i < e.power.size(); ++i)
    e.power[i] = share_of(power, kPowerStateNames[i], e.power[i], 1.5);
  if (!s.has("utilization")) return;
  e.utilization = s.number("utilization");
  if (s.ok() && (*e.utilization <= 0 || *e.utilization > 1.5))
    s.fail("utilization", "utilization must lie between 0 and 1.5");
}

void read_capital(Section& s, Economics& e) {
  e.lifetime = s.seconds("lifetime", e.lifetime);
  if (s.ok() && e.lifetime < Seconds(kDay)) s.fail("lifetime", "hardware lives for a day at least");
  e.kwh = s.dollars("kwh", e.kwh);
  if (!s.has("capital")) return;
  Section capital = s.section("capital");
  e.capital_gpu = capital.dollars("gpu");
  e.capital_overhead = share_of(capital, "overhead", e.capital_overhead, 10);
}

const HourlySeries* series_of(const Economics& e, std::string_view region) {
  const auto found = std::ranges::find(e.hourly, region, &HourlySeries::region);
  return found == e.hourly.end() ? nullptr : &*found;
}

double window_factor(const Economics& e, int hour) {
  for (const PriceWindow& w : e.windows)
    if (within(w, hour)) return w.factor;
  return 1;
}

double region_average(const Economics& e, std::string_view region) {
  if (region == e.region) return e.kg_per_kwh;
  for (const Region& r : kRegions)
    if (r.name == region) return r.kg_per_kwh;
  return e.kg_per_kwh;
}

// Mean of value(hour) over [start, start + hours), hours of a cycle; part hours count by their part.
template <class Value>
double mean_over(std::size_t cycle, double start, double hours, Value value) {
  double whole = 0;
  for (std::size_t i = 0; i < cycle; ++i) whole += value(i);
  const double length = static_cast<double>(cycle), cycles = std::floor(hours / length);
  double sum = cycles * whole, left = hours - cycles * length, at = std::fmod(start, length);
  while (left > 1e-12) {
    const double step = std::min(left, std::floor(at) + 1 - at);
    sum += step * value(static_cast<std::size_t>(at) % cycle);
    at += step;
    if (at > length - 1e-9) at = 0;
    left -= step;
  }
  return sum / hours;
}

// GPU-hours of the job in each state. Nodes that are not there leave the time in which the job stands still, or all alike.
StateShares hours_in_state(const RunUse& use, double all, double there) {
  StateShares hours = use.states;
  double left = all;
  for (double& h : hours) h *= all;
  if (use.absent_while_stopped) {
    const double stopped = std::min(hours.back(), all - there);
    hours.back() -= stopped;
    left -= stopped;
  }
  if (left > 0)
    for (double& h : hours) h *= there / left;
  return hours;
}

// The hourly file may have regions of its own: they are as good as the table's, and where it has none of the name that is
// left out, its first is meant. A file without a column of regions is about the scenario's.
void read_region(Section& s, Economics& e) {
  if (const std::string path = s.text("hourly", ""); !path.empty()) {
    try {
      e.hourly = read_hourly(path);
    } catch (const ConfigError& error) {
      s.fail("hourly", error.what());
    }
  }
  std::vector<std::string_view> names;
  for (const Region& r : kRegions) names.push_back(r.name);
  for (const HourlySeries& series : e.hourly)
    if (!series.region.empty() && std::ranges::find(names, series.region) == names.end())
      names.push_back(series.region);
  const bool unnamed = e.hourly.empty() || e.hourly.front().region.empty();
  if (!unnamed && series_of(e, e.region) == nullptr) e.region = e.hourly.front().region;
  e.region = s.choice("region", names, e.region);
  if (unnamed)
    for (HourlySeries& series : e.hourly) series.region = e.region;
  for (const Region& r : kRegions)
    if (e.region == r.name) e.kg_per_kwh = r.kg_per_kwh;
  e.kg_per_kwh = read_intensity(s, "carbon_intensity", e.kg_per_kwh);
  if (s.has("market_intensity")) e.market_kg_per_kwh = read_intensity(s, "market_intensity", 0);
}

}  // namespace

std::span<const Region> regions() { return kRegions; }

double Economics::discount() const {
  if (capacity == Capacity::reserved) return reserved_discount;
  return capacity == Capacity::spot ? spot.discount : 0;
}

Economics read_economics(Section s, const GpuSpec& gpu) {
  Economics e;
  e.price_assumed = !s.has("gpu_hour");
  // The middle of the on-demand range of the hardware entry.
  e.gpu_hour = s.dollars("gpu_hour", (gpu.price_low + gpu.price_high) / 2);
  const std::string capacity = s.choice("capacity", kCapacityNames, "on_demand");
  e.capacity = static_cast<Capacity>(std::ranges::find(kCapacityNames, capacity) - kCapacityNames.begin());
  e.reserved_discount = share_of(s, "reserved_discount", e.reserved_discount);
  read_spot(s.section_or_empty("spot"), e);
  read_windows(s, e);
  e.start_hour = share_of(s, "start_hour", e.start_hour, 1e6);
  read_region(s, e);
  e.pue = s.number("pue", e.pue);
  if (s.ok() && (e.pue < 1 || e.pue > 10)) s.fail("pue", "pue must lie between 1 and 10");
  read_power(s, e);
  e.hosts = s.flag("hosts", e.hosts);
  if (s.has("embodied")) e.embodied = s.quantity("embodied", kMassUnits);
  read_capital(s, e);
  e.dataset = s.bytes("dataset", e.dataset);
  e.egress = s.bytes("egress", e.egress);
  list_assumed(s, e);
  return e;
}

HourlyMean hourly_mean(const Economics& e, std::string_view region, double start, Seconds wall) {
  HourlyMean mean{region_average(e, region), 1};
  const double hours = in_hours(wall);
  if (!(hours > 0)) return mean;
  if (!e.windows.empty())
    mean.price =
        mean_over(24, start, hours, [&](std::size_t h) { return window_factor(e, static_cast<int>(h)); });
  const HourlySeries* series = series_of(e, region);
  if (series == nullptr) return mean;
  const std::size_t cycle = series->kg_per_kwh.size();
  mean.kg_per_kwh = mean_over(cycle, start, hours, [&](std::size_t h) { return series->kg_per_kwh[h]; });
  if (!series->price.empty())
    mean.price *= mean_over(cycle, start, hours, [&](std::size_t h) { return series->price[h]; });
  return mean;
}

Places best_places(const Economics& e, Seconds wall, std::optional<Seconds> deadline) {
  std::vector<std::string> names;
  for (const HourlySeries& series : e.hourly) names.push_back(series.region);
  if (names.empty())
    for (const Region& r : kRegions)
      if (r.name != "global") names.emplace_back(r.name);
  const double slack = deadline ? in_hours(*deadline) - in_hours(wall) : 24;
  // Starts repeat with the series; two weeks of them are enough to choose from.
  const auto starts = static_cast<int>(std::clamp(std::floor(slack), 0.0, 336.0));
  Places best;
  best.in_time = slack >= 0;
  bool first = true;
  for (const std::string& region : names)
    for (int start = 0; start <= starts; ++start) {
      const Place place{region, static_cast<double>(start),
                        hourly_mean(e, region, e.start_hour + start, wall)};
      if (first || place.mean.kg_per_kwh < best.least_carbon.mean.kg_per_kwh) best.least_carbon = place;
      if (first || place.mean.price < best.least_price.mean.price) best.least_price = place;
      first = false;
    }
  return best;
}

RunCost cost_of(const Economics& e, const NodeSpec& node, const RunUse& use, Dollars gb_month,
                Dollars gb_egress) {
  RunCost cost;
  const Seconds wall = use.wall;
  const double hours = in_hours(wall), all = use.gpus * hours, spares = use.spare_nodes * node.gpus * hours;
  const HourlyMean mean = hourly_mean(e, e.region, e.start_hour, wall);
  const bool spot = e.capacity == Capacity::spot;  // what is not there is neither paid nor fed
  cost.gpu_hours = all - (spot ? std::min(use.absent_gpu_hours, all) : 0);
  cost.spare_gpu_hours = spares - (spot ? std::min(use.spares_absent_gpu_hours, spares) : 0);
  const double on_demand = spot ? std::min(use.on_demand_gpu_hours, cost.gpu_hours) : 0;
  cost.dollars = (e.price() * (cost.gpu_hours - on_demand) + e.gpu_hour * on_demand) * mean.price;
  cost.spare_dollars = e.price() * cost.spare_gpu_hours * mean.price;
  constexpr double kMonthHours = 730;  // a year's 8,760 over twelve, as clouds bill storage
  cost.storage_dollars = gb_month * ((use.kept + e.dataset).value / kGiga * hours / kMonthHours);
  cost.egress_dollars = gb_egress * (e.egress.value / kGiga);

  const Watts idle = node.gpu.idle_power, range = node.gpu.tdp - node.gpu.idle_power;
  const StateShares in_state = hours_in_state(use, all, cost.gpu_hours);
  for (std::size_t i = 0; i < use.states.size(); ++i) {
    const Watts power = e.utilization ? node.gpu.tdp * *e.utilization : idle + range * e.power[i];
    cost.gpu_energy[i] = power * Seconds(in_state[i] * kHour);
  }
  cost.spare_energy = idle * Seconds(cost.spare_gpu_hours * kHour);
  if (e.hosts) {
    cost.host_energy = node.host_power * Seconds((cost.gpu_hours + cost.spare_gpu_hours) / node.gpus * kHour);
    cost.network_energy = use.network * wall;
  }
  Joules sum = cost.spare_energy + cost.host_energy + cost.network_energy;
  for (const Joules& of_state : cost.gpu_energy) sum += of_state;
  cost.energy = sum * e.pue;
  const double kwh = cost.energy.value / kJoulesPerKwh;
  cost.co2e_kg = kwh * mean.kg_per_kwh;
  cost.co2e_market_kg = kwh * e.market_kg_per_kwh.value_or(mean.kg_per_kwh);
  // Lives of a GPU's hardware.
  const double worn = (cost.gpu_hours + cost.spare_gpu_hours) / in_hours(e.lifetime);
  cost.embodied_kg = e.embodied.value_or(0) * worn;
  cost.capital_dollars = e.capital_gpu * ((1 + e.capital_overhead) * worn) + e.kwh * kwh;
  return cost;
}

}  // namespace runcast
