// gzip by zlib (trace.hpp).
#include <zlib.h>

#include "sim/error.hpp"
#include "tools/report/trace.hpp"

namespace runcast {

std::string gzipped(std::string_view text) {
  z_stream stream{};
  constexpr int kGzip =
      16;  // added to the window's bits: a gzip header, which is all zeros unless told otherwise
  INVARIANT(deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + kGzip, 8, Z_DEFAULT_STRATEGY) ==
            Z_OK);
  std::string out(deflateBound(&stream, static_cast<uLong>(text.size())), '\0');
  std::string in(text);
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  INVARIANT(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace runcast
