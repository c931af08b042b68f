#include "recipes/random_weights.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace edgellm {
namespace {

// Standard deviations of logarithms: how much rows, columns and norms differ among themselves.
constexpr double kRowSpread = 0.2, kColumnSpread = 0.15, kNormSpread = 0.1;
// One channel in so many is an outlier; at least two are.
constexpr size_t kChannelsPerOutlier = 512, kFewestOutliers = 2;
// Outliers are so many times larger: in the residual stream (so in the rows that write to it), in the norms,
// in the columns that read it, and in the columns that read the inner widths.
constexpr double kOutlierResidual = 2, kOutlierNorm = 4, kOutlierColumn = 3;
// Standard deviations aimed at: queries and keys (their product then spreads by twice this squared over the
// positions), logits, and values, gates and ups.
constexpr double kQueryDeviation = 1.4, kLogitDeviation = 3, kInnerDeviation = 1;
// What reaches the second matrix of a branch: values averaged by attention, and silu(gate) * up.
constexpr double kMixedDeviation = 0.5, kGatedDeviation = 0.6;
// The residual stream's variance after the last layer over that of the embedding.
constexpr double kResidualGrowth = 400;
constexpr double kPaddingScale = 0.05;
constexpr double kBiasDeviation = 0.3;

uint64_t mixed(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// SplitMix64 (Steele et al., "Fast splittable pseudorandom number generators", 2014).
struct Random {
  uint64_t state;
  uint64_t next() { return mixed(state += 0x9E3779B97F4A7C15u); }
  // Sum of 12 uniforms, the same with every standard library.
  double normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += double(next() >> 11) * 0x1p-53;
    return sum;
  }
  // A factor whose square is 1 on average.
  double factor(double spread) { return std::exp(spread * normal() - spread * spread); }
};

uint64_t key_of(uint64_t seed, const std::string& name) {
  uint64_t key = mixed(seed + 0x9E3779B97F4A7C15u);
  for (char c : name) key = mixed(key ^ uint8_t(c));
  return key;
}

// Student's t with 5 degrees of freedom, which trained weights follow (Dotzel et al., arXiv 2405.03103),
// scaled to unit variance: the quantiles (i + 1/2) / 65536.
class HeavyTails {
 public:
  HeavyTails() : quantiles_(kCells) {
    for (size_t i = 0; i < kCells / 2; ++i) {
      double wanted = (double(i) + 0.5) / double(kCells);
      // With t = sqrt(5) tan(a) the distribution function is 1/2 + (a + sin a (cos a + 2/3 cos^3 a)) / pi.
      double low = -std::numbers::pi / 2, high = 0;
      for (int step = 0; step < 60; ++step) {
        double a = (low + high) / 2, c = std::cos(a);
        double reached = 0.5 + (a + std::sin(a) * (c + 2.0 / 3 * c * c * c)) / std::numbers::pi;
        (reached < wanted ? low : high) = a;
      }
      quantiles_[i] = float(std::sqrt(3.0) * std::tan(low));  // sqrt(5) over the deviation, sqrt(5 / 3)
      quantiles_[kCells - 1 - i] = -quantiles_[i];
    }
  }
  float at(uint16_t cell) const { return quantiles_[cell]; }

 private:
  static constexpr size_t kCells = 65536;
  std::vector<float> quantiles_;
};

const HeavyTails& heavy_tails() {
  static const HeavyTails tails;
  return tails;
}

// Which of `n` channels are outliers: the same for every tensor that has these channels.
std::vector<bool> outliers(uint64_t seed, const char* channels, size_t n) {
  Random random{key_of(seed, channels)};
  std::vector<bool> chosen(n);
  for (size_t i = 0; i < std::max(kFewestOutliers, n / kChannelsPerOutlier); ++i)
    chosen[random.next() % n] = true;
  return chosen;
}

bool reads_residual(TensorRole role) {
  using enum TensorRole;
  return role == attention_q || role == attention_k || role == attention_v || role == ffn_gate ||
         role == ffn_up || role == output;
}

bool writes_residual(TensorRole role) {
  return role == TensorRole::attention_output || role == TensorRole::ffn_down;
}

bool is_norm(TensorRole role) {
  using enum TensorRole;
  return role == output_norm || role == attention_norm || role == ffn_norm || role == attention_q_norm ||
         role == attention_k_norm || role == attention_post_norm || role == ffn_post_norm;
}

// The deviation aimed at for what the matrix gives.
double wanted_deviation(TensorRole role, const Hyperparameters& h, double embedding) {
  switch (role) {
    case TensorRole::attention_q:
    case TensorRole::attention_k:
      return kQueryDeviation;
    case TensorRole::output:
      return kLogitDeviation;
    case TensorRole::attention_output:
    case TensorRole::ffn_down:
      return embedding * std::sqrt((kResidualGrowth - 1) / (2.0 * h.n_layers));
    default:
      return kInnerDeviation;
  }
}

}  // namespace

RandomTensor::RandomTensor(const RandomModel& model, TensorRole role, uint32_t layer, const std::string& name)
    : key_(key_of(model.seed, name)) {
  const Hyperparameters& h = model.hyperparameters;
  std::vector<uint64_t> dimensions = tensor_dimensions(h, role, layer);
  n_columns_ = dimensions[0];
  std::vector<bool> residual = outliers(model.seed, "residual", h.n_embedding);
  Random random{mixed(key_)};
  if (dimensions.size() == 1) {
    kind_ = is_norm(role) ? Kind::norm : Kind::bias;
    column_scale_.assign(n_columns_, 1.0f);
    for (size_t c = 0; c < n_columns_ && kind_ == Kind::norm && n_columns_ == residual.size(); ++c)
      if (residual[c]) column_scale_[c] = float(kOutlierNorm);
    return;
  }

  bool is_table = role == TensorRole::token_embedding, of_vocabulary = is_table || role == TensorRole::output;
  std::vector<bool> columns =
      n_columns_ == residual.size() && !writes_residual(role)
          ? residual
          : outliers(model.seed, role == TensorRole::ffn_down ? "feed forward" : "heads", n_columns_);
  std::vector<double> column(n_columns_);
  for (size_t c = 0; c < n_columns_; ++c)
    column[c] = random.factor(kColumnSpread) * (!columns[c] ? 1
                                                : is_table  ? kOutlierResidual
                                                            : kOutlierColumn);

  // Of a unit row: the variance that independent inputs of the expected sizes give.
  double variance = 0, stream = 0;
  for (size_t c = 0; c < n_columns_; ++c) {
    double size = 1;
    if (reads_residual(role) && residual[c]) size = kOutlierResidual * kOutlierNorm;
    variance += column[c] * column[c] * size * size;
    stream += columns[c] ? kOutlierResidual * kOutlierResidual : 1;
  }
  if (reads_residual(role)) variance *= double(n_columns_) / stream;  // norms divide by the mean square
  if (role == TensorRole::attention_output) variance *= kMixedDeviation * kMixedDeviation;
  if (role == TensorRole::ffn_down) variance *= kGatedDeviation * kGatedDeviation;
  // A tied embedding gives logits of the wanted deviation, too; one that is not looks the same.
  double embedding = kLogitDeviation / std::sqrt(double(h.n_embedding));
  double scale = is_table ? embedding : wanted_deviation(role, h, embedding) / std::sqrt(variance);

  size_t n_rows = dimensions[1];
  column_scale_.assign(column.begin(), column.end());
  row_scale_.resize(n_rows);
  for (size_t r = 0; r < n_rows; ++r) {
    double row = random.factor(kRowSpread);
    if (writes_residual(role) && residual[r]) row *= kOutlierResidual;
    if (of_vocabulary && r >= model.n_used_tokens) row *= kPaddingScale;
    row_scale_[r] = float(scale * row);
  }
}

void RandomTensor::row(size_t row, float* values) const {
  const HeavyTails& tails = heavy_tails();
  Random random{mixed(key_ + 0x632BE59BD9B4E019u * (row + 1))};
  if (kind_ == Kind::norm) {
    for (size_t c = 0; c < n_columns_; ++c) values[c] = column_scale_[c] * float(random.factor(kNormSpread));
    return;
  }
  float scale = kind_ == Kind::bias ? float(kBiasDeviation) : row_scale_[row];
  // Four values of 16 random bits from one number.
  for (size_t c = 0; c < n_columns_; c += 4) {
    uint64_t bits = random.next();
    for (size_t i = c; i < std::min(c + 4, n_columns_); ++i, bits >>= 16)
      values[i] = scale * column_scale_[i] * tails.at(uint16_t(bits));
  }
}

}  // namespace edgellm
