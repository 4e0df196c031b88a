// Threads that help with work which one thread could do alone: a system that grants fewer of them (a limit of processes
// or of memory) gets the same result later. INVARIANT: `work` takes its tasks from a shared counter.
#pragma once

#include <system_error>
#include <thread>
#include <vector>

namespace runcast {

// Up to `wanted` threads that run work(1), work(2), ...; they are joined when the list goes.
template <class Work>
std::vector<std::jthread> helping_threads(int wanted, Work work) {
  std::vector<std::jthread> threads;
  try {
    for (int i = 1; i <= wanted; ++i) threads.emplace_back(work, i);
  } catch (const std::system_error&) {
    return threads;
  }
  return threads;
}

}  // namespace runcast
