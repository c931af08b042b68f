#include "evaluate/token_match.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace edgellm {
namespace {

// A tile of cosines is kRows x kColumns sums, as many as the vectors of any 64-bit CPU hold beside the
// factors. No sum crosses lanes, so the loops vectorize without reordering additions.
constexpr size_t kRows = 4, kColumns = 8;

void multiply_tile(const TokenVectors& first, size_t i, const TokenVectors& second, size_t j,
                   float (&sums)[kRows][kColumns]) {
  float local[kRows][kColumns] = {};
  const float* a = first.values.data() + i;
  const float* b = second.values.data() + j;
  for (size_t k = 0; k < first.n_embedding; ++k, a += first.n_padded, b += second.n_padded)
    for (size_t row = 0; row < kRows; ++row)
      for (size_t column = 0; column < kColumns; ++column) local[row][column] += a[row] * b[column];
  std::copy(&local[0][0], &local[0][0] + kRows * kColumns, &sums[0][0]);
}

}  // namespace

TokenVectors TokenVectors::normalized(std::span<const float> hidden, size_t n_embedding) {
  assert(n_embedding > 0 && hidden.size() % n_embedding == 0);
  TokenVectors made;
  made.n_embedding = n_embedding;
  made.n_tokens = hidden.size() / n_embedding;
  made.n_padded = (made.n_tokens + kColumns - 1) / kColumns * kColumns;
  made.values.resize(n_embedding * made.n_padded);
  for (size_t token = 0; token < made.n_tokens; ++token) {
    const float* vector = hidden.data() + token * n_embedding;
    double sum = 0;
    for (size_t k = 0; k < n_embedding; ++k) sum += double(vector[k]) * vector[k];
    auto scale = float(1 / std::sqrt(sum));
    for (size_t k = 0; k < n_embedding; ++k) made.values[k * made.n_padded + token] = vector[k] * scale;
  }
  return made;
}

TokenMatch match_tokens(const TokenVectors& first, const TokenVectors& second) {
  assert(first.n_embedding == second.n_embedding);
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  TokenMatch match{std::vector<float>(first.n_tokens, kNone), std::vector<float>(second.n_tokens, kNone)};
  float sums[kRows][kColumns];
  for (size_t i = 0; i < first.n_tokens; i += kRows) {
    size_t n_rows = std::min(kRows, first.n_tokens - i);
    for (size_t j = 0; j < second.n_tokens; j += kColumns) {
      size_t n_columns = std::min(kColumns, second.n_tokens - j);
      multiply_tile(first, i, second, j, sums);
      for (size_t row = 0; row < n_rows; ++row)
        for (size_t column = 0; column < n_columns; ++column) {
          float cosine = sums[row][column];
          match.first[i + row] = std::max(match.first[i + row], cosine);
          match.second[j + column] = std::max(match.second[j + column], cosine);
        }
    }
  }
  return match;
}

}  // namespace edgellm
