// For tests: a linear layer with inputs that are correlated and of uneven size, and what the official
// programs of pruning and quantization make of another such layer, recorded as .npy files where there are
// any.
#pragma once

#include <ATen/ATen.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>

namespace edgellm::golden {

inline std::filesystem::path folder() {
  const char* root = std::getenv("EDGELLM_SOURCE_DIR");
  return std::filesystem::path(root ? root : ".") / "../shared/golden/layer";
}

// Skips a test that needs the recordings where there are none.
#define EDGELLM_SKIP_WITHOUT_GOLDEN_LAYER() \
  if (!std::filesystem::exists(edgellm::golden::folder())) GTEST_SKIP() << "no recorded layer"

// float32 and uint8 arrays in C order, as numpy.save writes them.
inline at::Tensor load(const std::string& name) {
  std::ifstream in(folder() / (name + ".npy"), std::ios::binary);
  std::string all(std::istreambuf_iterator<char>(in), {});
  if (!all.starts_with("\x93NUMPY")) {
    ADD_FAILURE() << name << ".npy is missing or no .npy file";
    return {};
  }
  size_t n_header = size_t(uint8_t(all[8])) | size_t(uint8_t(all[9])) << 8;
  std::string header = all.substr(10, n_header);
  std::vector<int64_t> shape;
  for (size_t at = header.find('(') + 1; at < header.size() && header[at] != ')'; ++at)
    if (std::isdigit(header[at])) {
      size_t n_digits = 0;
      shape.push_back(std::stoll(header.substr(at), &n_digits));
      at += n_digits - 1;
    }
  bool is_float = header.find("<f4") != std::string::npos;
  EXPECT_TRUE(is_float || header.find("|u1") != std::string::npos) << header;
  return at::from_blob(all.data() + 10 + n_header, shape,
                       at::TensorOptions(is_float ? at::kFloat : at::kByte))
      .clone();
}

// numpy.packbits of a mask's rows, the first in the highest bit.
inline at::Tensor unpack_bits(const at::Tensor& packed, int64_t n_columns) {
  at::Tensor masks = at::pow(2, at::arange(7, -1, -1)).to(at::kByte);
  return packed.unsqueeze(2).bitwise_and(masks).ne(0).reshape({packed.size(0), -1}).slice(1, 0, n_columns);
}

struct Layer {
  at::Tensor weights;  // [n_rows, n_columns]
  at::Tensor inputs;   // [n_tokens, n_columns]
  at::Tensor second_moments() const { return inputs.t().mm(inputs); }
  double output_error(const at::Tensor& instead) const {
    return inputs.mm((instead - weights).t()).to(at::kDouble).square().sum().item<double>();
  }
};

// Random, from fixed seeds: a few directions carry most of the inputs, and a few columns are ten times as
// large.
inline Layer random_layer(int64_t n_rows, int64_t n_columns, int64_t n_tokens, uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  auto normal = [&](int64_t rows, int64_t columns) { return at::randn({rows, columns}, generator); };
  Layer layer;
  layer.weights = normal(n_rows, n_columns) / std::sqrt(double(n_columns));
  layer.inputs = normal(n_tokens, n_columns) + normal(n_tokens, 4).mm(normal(4, n_columns));
  layer.inputs.slice(1, 0, n_columns, n_columns / 4) *= 10;
  return layer;
}

inline Layer recorded_layer() {
  return {load("W"), load("X")};
}

}  // namespace edgellm::golden
