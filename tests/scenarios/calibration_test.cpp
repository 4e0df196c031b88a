// Constants fitted to measured steps: what was put in comes out, what cannot be told apart is named, and the
// text of the library changes in its values and origins alone.
#include "scenarios/calibration.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "scenarios/calibration_study.hpp"
#include "sim/error.hpp"
#include "tests/error_of.hpp"

using namespace runcast;
namespace fs = std::filesystem;

namespace {

// Dense bf16 steps of the library's table on one kind of GPU, `most`; jobs of up to 64 GPUs simulate at
// once.
std::vector<MeasuredStep> steps_on(const std::string& hardware, std::size_t most,
                                   const std::string& precision = "bf16") {
  const Library library;
  std::vector<MeasuredStep> steps;
  for (const PublishedRow& row : published_rows(library).rows) {
    const bool chosen =
        row.hardware == hardware && !row.is_moe() && row.gpus <= 64 && row.precision == precision;
    if (!chosen || steps.size() == most) continue;
    steps.push_back(
        {row.id, row.family, read_row(row, library, settle(row, library)), Seconds(row.measured_step_s)});
  }
  REQUIRE(steps.size() == most);
  return steps;
}

// The steps as if the world were the model with its constants moved.
void measure_with(std::vector<MeasuredStep>& steps, const std::vector<const Constant*>& constants,
                  const std::vector<double>& factors) {
  for (MeasuredStep& step : steps) {
    Scenario moved = step.scenario;
    for (std::size_t k = 0; k < constants.size(); ++k)
      if (constants[k]->concerns(moved)) constants[k]->scale(moved, factors[k]);
    step.measured = to_seconds(simulate(moved, 1).step.time);
  }
}

const LibraryEntry& entry_of(const std::vector<LibraryEntry>& entries, std::string_view name) {
  const auto at =
      std::find_if(entries.begin(), entries.end(), [&](const LibraryEntry& e) { return e.name == name; });
  REQUIRE(at != entries.end());
  return *at;
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct Folder {  // a library folder of its own for each test case, removed at its end
  fs::path path = fs::temp_directory_path() / ("runcast-calibration-test-" + std::to_string(getpid()));
  Folder() {
    fs::remove_all(path);
    fs::create_directories(path / "software");
    fs::create_directories(path / "hardware/gpus");
  }
  ~Folder() { fs::remove_all(path); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path / name) << text; }
};

FittedConstant moved_by(const std::string& name, double factor) {
  FittedConstant f;
  f.constant = constants_named({name}).front();
  f.factor = factor;
  f.value = 1;
  f.interval = {0.9, 1.1};
  f.told = 1;
  return f;
}

}  // namespace

TEST_CASE("constants that a synthetic cluster was built with come back within half a percent") {
  const auto constants = constants_named({"hopper.gemm_wide", "hopper.attention_cudnn"});
  const std::vector<double> truth = {0.9, 0.85};
  std::vector<MeasuredStep> steps = steps_on("h100", 12);
  measure_with(steps, constants, truth);
  CalibrationOptions options;
  options.noise =
      0.0005;  // the synthetic steps have none, so that the prior must not hold the constants back
  const Calibration fit = calibrate(steps, constants, options);
  REQUIRE(fit.constants.size() == 2);
  for (std::size_t k = 0; k < 2; ++k) {
    CAPTURE(fit.constants[k].constant->name);
    CHECK(fit.constants[k].factor ==
          doctest::Approx(truth[k]).epsilon(0.005));  // attention is a tenth of a step
    CHECK(fit.constants[k].interval.low < fit.constants[k].start * truth[k] * 1.005);
    CHECK(fit.constants[k].interval.high > fit.constants[k].start * truth[k] * 0.995);
  }
  for (std::size_t i = 0; i < steps.size(); ++i)
    CHECK(fit.after[i] == doctest::Approx(steps[i].measured.value).epsilon(0.002));
}

TEST_CASE("a fit has the same bits for 1, 2 and 7 threads") {
  const auto constants = constants_named({"ampere", "software.jitter"});
  const std::vector<MeasuredStep> steps = steps_on("a100-80", 6);
  CalibrationOptions options;
  options.iterations = 2;
  const Calibration one = calibrate(steps, constants, options);
  for (const int threads : {2, 7}) {
    options.threads = threads;
    const Calibration many = calibrate(steps, constants, options);
    CHECK(one.after == many.after);
    REQUIRE(one.constants.size() == many.constants.size());
    for (std::size_t k = 0; k < one.constants.size(); ++k) {
      CHECK(one.constants[k].factor == many.constants[k].factor);
      CHECK(one.constants[k].interval.low == many.constants[k].interval.low);
    }
  }
}

TEST_CASE("a part's clock and its GEMM rate trade off when only that part was measured") {
  // Both multiply the rate of every GEMM; attention alone feels the clock only, and is too small to part
  // them.
  const auto constants = constants_named({"blackwell.gemm_wide", "gb200.power"});
  std::vector<MeasuredStep> steps = steps_on("gb200", 2, "fp8");
  for (MeasuredStep& step : steps) step.scenario.training.precision = find_precision("bf16");
  measure_with(steps, constants, {0.95, 1});
  CalibrationOptions options;
  options.noise = 0.002;
  const Calibration fit = calibrate(steps, constants, options);
  REQUIRE(fit.trade_offs.size() == 1);
  CHECK(fit.trade_offs[0].first == 0);
  CHECK(fit.trade_offs[0].second == 1);
  CHECK(fit.trade_offs[0].correlation < -0.9);  // a faster clock makes up for a lower rate
}

TEST_CASE("constants that no measured step shares are left out of the fit") {
  const Calibration fit = calibrate(steps_on("h100", 2), constants_named({"ampere", "hopper.gemm_wide"}), {});
  REQUIRE(fit.constants.size() == 1);
  CHECK(fit.constants[0].constant->name == "hopper.gemm_wide");
}

TEST_CASE("a step of three times its time moves a rate by less than a quarter of what least squares would") {
  // In least squares one of ten steps pulls with its ln(3) = 1.10. The loss grows linearly beyond 8 %, so
  // that it pulls like a residual of 8 % does: a tenth, and somewhat more where the nine others give way.
  const auto constants = constants_named({"hopper.gemm_wide"});
  std::vector<MeasuredStep> steps = steps_on("h100", 10);
  measure_with(steps, constants, {1});
  steps[4].measured *= 3;
  CalibrationOptions robust, least_squares;
  least_squares.loss_width = 1e3;
  robust.noise = least_squares.noise = 0.001;  // the prior out of the way
  const double with = std::log(calibrate(steps, constants, robust).constants[0].factor);
  const double without = std::log(calibrate(steps, constants, least_squares).constants[0].factor);
  CHECK(with < 0);  // slower steps ask for a lower rate
  CHECK(with > 0.25 * without);
}

TEST_CASE(
    "what a family's hardware alone could tell is unknown to the prediction that leaves the family out") {
  // Two families on different parts: with two folds each is predicted by constants that the other one fitted,
  // which it does not share, and so by the starting values.
  const auto constants = constants_named({"hopper.gemm_wide", "ampere.gemm_wide"});
  std::vector<MeasuredStep> steps = steps_on("h100", 3), others = steps_on("a100-80", 3);
  for (MeasuredStep& step : steps) step.family = "first";
  for (MeasuredStep& step : others) step.family = "second";
  steps.insert(steps.end(), others.begin(), others.end());
  measure_with(steps, constants, {0.8, 0.8});
  CalibrationOptions options;
  options.folds = 2;
  const Calibration fit = calibrate(steps, constants, options);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    CHECK(fit.unseen[i] == doctest::Approx(fit.before[i]).epsilon(1e-3));  // the fit's own tolerance
    CHECK(std::abs(fit.after[i] / steps[i].measured.value - 1) <
          std::abs(fit.unseen[i] / steps[i].measured.value - 1));
  }
}

TEST_CASE(
    "one step of a slower cluster takes three quarters of the error off a neighbour that was not measured") {
  // The cluster's GEMMs run at 0.85 of the library's rate. Its neighbours feel it by their own share of GEMMs.
  const Library library;
  const auto constants = constants_named({"hopper.gemm_wide"});
  std::vector<MeasuredStep> steps = steps_on("h100", 8);
  measure_with(steps, constants, {0.85});
  const MeasuredStep& mine = steps.front();
  CalibrationRequest request;
  request.constants = {"hopper", "megatron", "software"};  // not told which of them it was
  const CalibrationStudy study = anchor_study({{"mine", mine.scenario, mine.measured}}, library, request, {});
  double before = 0, after = 0;
  for (std::size_t i = 1; i < steps.size(); ++i) {
    Scenario s = steps[i].scenario;
    before += std::abs(std::log(to_seconds(simulate(s, 1).step.time) / steps[i].measured));
    for (const auto& row : (*study.document)["rows"]) {
      const Constant* c = constants_named({row["constant"].get<std::string>()}).front();
      if (c->concerns(s)) c->scale(s, row["factor"].get<double>());
    }
    after += std::abs(std::log(to_seconds(simulate(s, 1).step.time) / steps[i].measured));
  }
  CHECK(before / 7 > 0.05);
  CHECK(after < 0.25 * before);
}

TEST_CASE("a bound holds a constant, and is told") {
  const auto constants = constants_named({"hopper.gemm_wide"});
  std::vector<MeasuredStep> steps = steps_on("h100", 4);
  for (MeasuredStep& step : steps) step.measured = to_seconds(simulate(step.scenario, 1).step.time) * 0.5;
  CalibrationOptions options;
  options.noise = 0.001;
  const Calibration fit = calibrate(steps, constants, options);
  CHECK(fit.constants[0].at_bound);
  CHECK(fit.constants[0].value == constants[0]->high);
}

TEST_CASE("constants are chosen by name or family, and a misspelt one is answered with the near name") {
  CHECK(constants_named({"gb200.power", "gb200.power"}).size() == 1);
  for (const Constant* c : constants_named({"blackwell"})) CHECK(c->name.starts_with("blackwell."));
  CHECK(constants_named({}).size() <= 45);
  CHECK(error_of([] { constants_named({"hoper.gemm_wide"}); }) ==
        "unknown constant 'hoper.gemm_wide', did you mean 'hopper.gemm_wide'?");
}

TEST_CASE("every entry that a constant names is in the library, and bounds and priors are ranges") {
  const Library library;
  for (const Constant& c : calibration_constants()) {
    CAPTURE(c.name);
    for (const std::string_view entry : c.entries) {
      CAPTURE(entry);
      CHECK(library.find(c.folder, entry) != nullptr);
    }
    CHECK(c.low < c.high);
    CHECK(c.prior > 0);
  }
}

TEST_CASE("a fitted value is written in its own unit with its interval, and the first origin stays") {
  const Folder folder;
  folder.write("software/example.yaml",
               "# Example\nsentence: x\ncollective_launch: 10 us   # measured\njitter: 0.01\nsource: us\n");
  folder.write("software/silent.yaml", "sentence: y\n");
  folder.write("hardware/gpus/h100.yaml",
               "name: h100\nkernels:\n  gemm_efficiency:\n    fp8: 0.5  # table\n  x: 1\n");
  Library library;
  library.overlay(folder.path.string());
  const std::vector<FittedConstant> fitted = {moved_by("software.collective_launch", 1.2),
                                              moved_by("hopper.gemm_fp8", 1.1)};
  const auto once = calibrated_entries(library, fitted, {"software/example", "hardware/gpus/h100"},
                                       "published steps, 2026");
  // 10 us x 1.2 = 12 us, with 0.9 and 1.1 of it; the comment stays in its column.
  CHECK(entry_of(once, "example").text ==
        "# Example\nsentence: x\n"
        "collective_launch: 12 us   # fitted on published steps, 2026, 95 % interval [10.8, 13.2 us]; "
        "before: 10 us, "
        "measured\njitter: 0.01\nsource: us\n");
  // The default of 10 us moves too; without steps of its own the entry follows its family.
  CHECK(entry_of(once, "silent").text ==
        "sentence: y\ncollective_launch: 12 us  # fitted on published steps, 2026, 95 % interval [10.8, 13.2 "
        "us], by "
        "the steps of its family\n");
  CHECK(entry_of(once, "h100").text ==
        "name: h100\nkernels:\n  gemm_efficiency:\n    fp8: 0.55  # fitted on published steps, 2026, 95 % "
        "interval "
        "[0.495, 0.605]; before: 0.5, table\n  x: 1\n");
  // A second fit keeps what the line said before the first: 0.55 x 1.1 = 0.605.
  folder.write("hardware/gpus/h100.yaml", entry_of(once, "h100").text);
  Library again;
  again.overlay(folder.path.string());
  const auto twice = calibrated_entries(again, fitted, {"hardware/gpus/h100"}, "published steps, 2027");
  CHECK(holds(
      entry_of(twice, "h100").text,
      "fp8: 0.605  # fitted on published steps, 2027, 95 % interval [0.5445, 0.6655]; before: 0.5, table\n"));
}

TEST_CASE("a value never leaves the bounds of its constant, in a file as in a scenario") {
  const Folder folder;
  folder.write("software/example.yaml", "collective_launch: 50 us\n");
  Library library;
  library.overlay(folder.path.string());
  // At most 60 us.
  const auto entries =
      calibrated_entries(library, {moved_by("software.collective_launch", 3)}, {}, "published steps, 2026");
  CHECK(holds(entry_of(entries, "example").text, "collective_launch: 60 us  #"));
}

TEST_CASE("a format that a part does not have is not added to it, and unused constants change nothing") {
  Library library;
  for (const LibraryEntry& e :
       calibrated_entries(library, {moved_by("hopper.gemm_prologue", 2)}, {}, "published steps, 2026"))
    CHECK_FALSE(holds(e.text, "nvfp4"));
  FittedConstant untold = moved_by("hopper.gemm_fp8", 1.0);
  untold.told = 0;
  CHECK(calibrated_entries(library, {untold}, {}, "published steps, 2026").empty());
}

TEST_CASE("requests that name what the table does not have are refused") {
  Library library;
  const PublishedTable table = published_rows(library);
  CalibrationRequest request;
  request.kind = "sparse";
  CHECK(error_of([&] { calibration_study(table, library, request, {}); }) ==
        "--only sparse: choose dense, moe or all");
  request.kind = "all";
  request.folds = 1;
  CHECK(error_of([&] { calibration_study(table, library, request, {}); }) ==
        "--folds: at least 2, or 0 for no cross-validation");
  request.folds = 0;
  request.hardware = {"h101"};
  CHECK(error_of([&] {
          calibration_study(table, library, request, {});
        }).starts_with("--hardware h101: no row was measured on it; the rows are of a100-40, a100-80"));
}
