// Writes tests/golden anew from what the program says now.
#pragma once

namespace runcast {
int write_golden();
}
