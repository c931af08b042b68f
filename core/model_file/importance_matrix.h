// Importance of weight columns: sums of squared activations over calibration text, in llama.cpp's imatrix
// file (its GGUF form), so that either program can use the other's. Layout in docs/formats.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

struct ImportanceEntry {
  std::vector<float> sums;  // [n_columns] sum over tokens of the squared input of each column
  uint64_t n_tokens = 0;
};

struct ImportanceMatrix {
  std::map<std::string, ImportanceEntry> entries;  // by the GGUF name of the weight tensor
  std::vector<std::string> datasets;               // where the text came from, for people
  uint32_t n_chunks = 0;
  uint32_t n_tokens_per_chunk = 0;

  // Mean squared activation of each column, scaled to a mean of 1: [n_columns]; empty when the tensor has no
  // entry or no column of it was ever active. Columns that were never active get a small share, never zero.
  std::vector<float> weights(const std::string& tensor, size_t n_columns) const;
};

Result<ImportanceMatrix> read_importance_matrix(const std::filesystem::path& path);
Status write_importance_matrix(const ImportanceMatrix& matrix, const std::filesystem::path& path);

}  // namespace edgellm
