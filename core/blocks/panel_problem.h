// For tests: a panel of 256 columns to be rounded, with everything that a solver wants to know of it.
#pragma once

#include <cmath>
#include <gtest/gtest.h>
#include <random>
#include <vector>

#include "core/blocks/block_rounding.h"

namespace edgellm {

// A small problem: a panel of 256 columns, inputs that go together, and the factors of their second moments.
struct PanelProblem {
  static constexpr size_t n = 256;
  static constexpr size_t n_rows = 21;  // no multiple of any vector
  static constexpr size_t stride = padded_rows(n_rows);
  std::vector<double> h = std::vector<double>(n * n), unit = std::vector<double>(n * n),
                      d = std::vector<double>(n);
  std::vector<float> values = std::vector<float>(n * stride), feedback = std::vector<float>(n * n),
                     importance = std::vector<float>(n), h_float = std::vector<float>(n * n);

  explicit PanelProblem(unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (size_t i = 0; i < n; ++i)
      for (size_t r = 0; r < n_rows; ++r)
        values[i * stride + r] = 0.02f * normal(random) * std::exp(0.4f * normal(random));
    std::vector<double> sizes(n);
    for (double& size : sizes) size = std::exp(0.7 * normal(random));
    for (int sample = 0; sample < 400; ++sample) {
      double shared = normal(random);
      std::vector<double> x(n);
      for (size_t i = 0; i < n; ++i)
        x[i] = sizes[i] * (normal(random) + shared + (i ? 0.5 * x[i - 1] / sizes[i - 1] : 0));
      for (size_t i = 0; i < n; ++i)
        for (size_t j = 0; j < n; ++j) h[i * n + j] += x[i] * x[j] / 400;
    }
    for (size_t i = 0; i < n; ++i) h[i * n + i] += 0.01;
    factor(0, n, unit, d);
    for (size_t i = 0; i < n * n; ++i) feedback[i] = float(unit[i]), h_float[i] = float(h[i]);
    for (size_t i = 0; i < n; ++i) importance[i] = float(d[i]);
  }

  // H of columns [first, first + m) = (I + F) D (I + F)^T.
  void factor(size_t first, size_t m, std::vector<double>& f, std::vector<double>& diagonal) const {
    std::vector<double> rest(m * m);
    f.assign(m * m, 0), diagonal.assign(m, 0);
    for (size_t i = 0; i < m; ++i)
      for (size_t j = 0; j < m; ++j) rest[i * m + j] = h[(first + i) * n + first + j];
    for (size_t k = m; k-- > 0;) {
      diagonal[k] = rest[k * m + k];
      for (size_t i = 0; i <= k; ++i) f[i * m + k] = rest[i * m + k] / diagonal[k];
      for (size_t i = 0; i < k; ++i)
        for (size_t j = 0; j < k; ++j) rest[i * m + j] -= diagonal[k] * f[i * m + k] * f[j * m + k];
    }
  }

  PanelFeedback factors() const { return {feedback.data(), importance.data()}; }

  double error(const std::vector<float>& errors, size_t row) const {
    double sum = 0;
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j)
        sum += double(errors[i * stride + row]) * h[i * n + j] * double(errors[j * stride + row]);
    return sum;
  }

  // That no row's error rose from `before` to `after`, and all together fell.
  void expect_fall(const std::vector<float>& before, const std::vector<float>& after, TensorType type) const {
    double all_before = 0, all_after = 0;
    for (size_t r = 0; r < n_rows; ++r) {
      const double old_error = error(before, r), new_error = error(after, r);
      EXPECT_LE(new_error, old_error * (1 + 1e-4)) << to_string(type) << " row " << r;
      all_before += old_error, all_after += new_error;
    }
    EXPECT_LT(all_after, all_before) << to_string(type);
  }

  // errors times H.
  std::vector<float> gradients(const std::vector<float>& errors) const {
    std::vector<float> found(n * stride);
    for (size_t i = 0; i < n; ++i)
      for (size_t r = 0; r < n_rows; ++r) {
        double sum = 0;
        for (size_t j = 0; j < n; ++j) sum += h[i * n + j] * double(errors[j * stride + r]);
        found[i * stride + r] = float(sum);
      }
    return found;
  }
};

// Factors of every run's part of H, and its inverse by solving against unit vectors.
struct RunParts {
  std::vector<float> feedback, importance, inverse;
  RunParts(const PanelProblem& problem, size_t m) {
    std::vector<double> f, d;
    for (size_t first = 0; first < PanelProblem::n; first += m) {
      problem.factor(first, m, f, d);
      feedback.insert(feedback.end(), f.begin(), f.end());
      importance.insert(importance.end(), d.begin(), d.end());
      std::vector<double> inverse_part(m * m);
      for (size_t column = 0; column < m; ++column) {
        std::vector<double> x(m, 0.0);
        x[column] = 1;
        for (size_t k = m; k-- > 0;)
          for (size_t i = 0; i < k; ++i) x[i] -= f[i * m + k] * x[k];
        for (size_t k = 0; k < m; ++k) x[k] /= d[k];
        for (size_t k = 0; k < m; ++k)
          for (size_t i = k + 1; i < m; ++i) x[i] -= f[k * m + i] * x[k];
        for (size_t i = 0; i < m; ++i) inverse_part[i * m + column] = x[i];
      }
      inverse.insert(inverse.end(), inverse_part.begin(), inverse_part.end());
    }
  }

  PanelCurvature curvature(const PanelProblem& problem) const {
    return {problem.h_float.data(), feedback.data(), importance.data(), inverse.data()};
  }
};

}  // namespace edgellm
