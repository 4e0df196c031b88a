// Loaders against steps, by hand.
#include "parallelism/data_loading.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace runcast;
using doctest::Approx;

namespace {

DataLoading read(const std::string& text) {
  Document document = Document::parse(text, "loader.yaml");
  const DataLoading d = read_data_loading(document.root());
  document.finish();
  return d;
}

}  // namespace

TEST_CASE("the slower of workers and storage feeds the step") {
  // 1,024 samples over 64 replicas, 16 each, 2 workers of 0.5 s a sample: 4 s. Storage: 1,024 x 2 MB at 1 GB/s: 2.048 s.
  const DataLoading d =
      read("{workers_per_gpu: 2, time_per_sample: 500 ms, bytes_per_sample: 2 MB, storage: 1 GB/s}");
  const LoadingTime time = loading_time(d, 1024, 64);
  CHECK(time.workers.value == Approx(4).epsilon(1e-12));
  CHECK(time.storage.value == Approx(2.048).epsilon(1e-12));
  CHECK(time.needed() == time.workers);
  // A step of 3 s waits for one more; one of 5 s for nothing.
  CHECK(to_seconds(starved(d, time, to_clock(Seconds(3)))).value == Approx(1).epsilon(1e-9));
  CHECK(starved(d, time, to_clock(Seconds(5))) == Duration{});
}

TEST_CASE("without prefetching the step waits for all of its samples") {
  const DataLoading d = read("{workers_per_gpu: 4, time_per_sample: 100 ms, prefetch: 0}");
  CHECK(to_seconds(starved(d, loading_time(d, 64, 1), to_clock(Seconds(100)))).value ==
        Approx(1.6).epsilon(1e-9));
}

TEST_CASE("enough workers are those that keep up, never fewer than there are") {
  // 16 samples a replica of 0.5 s: 8 s of work for a step of 3 s takes 3 workers, of 0.9 s 9.
  const DataLoading d = read("{workers_per_gpu: 2, time_per_sample: 500 ms}");
  CHECK(enough_workers(d, 1024, 64, Seconds(3)) == 3);
  CHECK(enough_workers(d, 1024, 64, Seconds(0.9)) == 9);
  CHECK(enough_workers(d, 1024, 64, Seconds(100)) == 2);
}

TEST_CASE("a loader without workers is refused where it stands") {
  const auto message = [](const std::string& text) {
    try {
      read(text);
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message("workers_per_gpu: 0")
            .starts_with("loader.yaml:1:18: workers_per_gpu must be between 1 and 1000000, not 0"));
}

TEST_CASE("a loader has at most a million workers, and a step's samples take less than 1e9 s") {
  const auto refused = [](const std::string& text) {
    try {
      read(text);
    } catch (const ConfigError&) {
      return true;
    }
    return false;
  };
  CHECK_FALSE(refused("workers_per_gpu: 1000000"));
  CHECK(refused("workers_per_gpu: 1000001"));
  // 1e6 samples of 1e3 s on one worker are 1e9 s.
  const DataLoading slow = read("{workers_per_gpu: 1, time_per_sample: 1000 s}");
  CHECK_THROWS_AS(loading_time(slow, 1e6, 1), ConfigError);
  CHECK(loading_time(slow, 0.99e6, 1).workers.value == Approx(0.99e9).epsilon(1e-12));
  // A step of 0.5 us would want two million workers: more than may be given.
  const DataLoading quick = read("{workers_per_gpu: 1, time_per_sample: 1 s}");
  CHECK(enough_workers(quick, 1, 1, Seconds(0.5e-6)) == 1'000'000);
}

TEST_CASE("a loader that says nothing has two workers a GPU, each two batches ahead as PyTorch's") {
  CHECK(read("{}").workers_per_gpu == 2);
  CHECK(read("{}").prefetch == 2);
}
