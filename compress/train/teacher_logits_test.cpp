// What is kept of a teacher, and the divergence from it, beside sums over the whole vocabulary.
#include "compress/train/teacher_logits.h"

#include <cmath>
#include <gtest/gtest.h>

#include "core/base/temporary_folder.h"

namespace edgellm {
namespace {

at::Tensor random_logits(int64_t n_rows, int64_t n_vocabulary, uint64_t seed) {
  at::manual_seed(seed);
  return 3 * at::randn({n_rows, n_vocabulary});
}

double full_divergence(const at::Tensor& teacher, const at::Tensor& student) {
  at::Tensor p = teacher.to(at::kDouble).log_softmax(-1), q = student.to(at::kDouble).log_softmax(-1);
  return (p.exp() * (p - q)).sum().item<double>();
}

TEST(TeacherLogits, DivergenceIsTheFullOneWhereAllTokensAreKept) {
  const int64_t n_vocabulary = 100;
  at::Tensor teacher = random_logits(6, n_vocabulary, 1), student = random_logits(6, n_vocabulary, 2);
  TeacherLogits kept(2, 6, n_vocabulary);
  kept.put(1, 0, teacher);
  double got = divergence_from_teacher(student, kept.rows(1, 0, 6)).item<double>();
  EXPECT_NEAR(got, full_divergence(teacher, student), 1e-4 * got);
  // Rows in parts are the same rows.
  TeacherLogits parts(1, 6, n_vocabulary);
  parts.put(0, 0, teacher.narrow(0, 0, 4));
  parts.put(0, 4, teacher.narrow(0, 4, 2));
  EXPECT_TRUE(at::equal(parts.rows(0, 0, 6).tokens, kept.rows(1, 0, 6).tokens));
  EXPECT_NEAR(divergence_from_teacher(student.narrow(0, 3, 2), parts.rows(0, 3, 2)).item<double>(),
              full_divergence(teacher.narrow(0, 3, 2), student.narrow(0, 3, 2)), 1e-3);
}

TEST(TeacherLogits, OtherTokensCountAsOne) {
  const int64_t n_vocabulary = 3000, k = TeacherLogits::kLikeliest;
  at::Tensor teacher = random_logits(4, n_vocabulary, 3), student = random_logits(4, n_vocabulary, 4);
  TeacherLogits kept(1, 4, n_vocabulary);
  kept.put(0, 0, teacher);
  at::Tensor p = teacher.to(at::kDouble).softmax(-1), q = student.to(at::kDouble).softmax(-1);
  double wanted = 0;
  for (int64_t row = 0; row < 4; ++row) {
    at::Tensor order = p[row].argsort(-1, true);
    double p_rest = 1, q_rest = 1;
    for (int64_t i = 0; i < k; ++i) {
      const int64_t token = order[i].item<int64_t>();
      const double pt = p[row][token].item<double>(), qt = q[row][token].item<double>();
      wanted += pt * std::log(pt / qt);
      p_rest -= pt, q_rest -= qt;
    }
    wanted += p_rest * std::log(p_rest / q_rest);
  }
  EXPECT_NEAR(divergence_from_teacher(student, kept.rows(0, 0, 4)).item<double>(), wanted, 1e-3 * wanted);
  // The teacher itself is at no distance.
  EXPECT_NEAR(divergence_from_teacher(teacher, kept.rows(0, 0, 4)).item<double>(), 0, 1e-4);
}

// Of the full divergence it is softmax(student) - softmax(teacher).
TEST(TeacherLogits, GradientIsThatOfTheFullDivergence) {
  const int64_t n_vocabulary = 64;
  at::Tensor teacher = random_logits(5, n_vocabulary, 5), student = random_logits(5, n_vocabulary, 6);
  TeacherLogits kept(1, 5, n_vocabulary);
  kept.put(0, 0, teacher);
  student.set_requires_grad(true);
  divergence_from_teacher(student, kept.rows(0, 0, 5)).backward();
  at::Tensor wanted = (student.softmax(-1) - teacher.softmax(-1)).detach();
  EXPECT_LT((student.grad() - wanted).abs().max().item<float>(), 1e-4f);
}

TEST(TeacherLogits, AreSavedAndLoadedAndRefusedInAnotherShape) {
  auto folder = TemporaryFolder::create("teacher");
  ASSERT_TRUE(folder.ok());
  const auto path = folder->path() / "teacher.logits";
  TeacherLogits kept(2, 3, 50), again(2, 3, 50), other(2, 4, 50);
  EXPECT_FALSE(again.load(path).ok());
  for (int64_t window : {0, 1}) kept.put(window, 0, random_logits(3, 50, uint64_t(7 + window)));
  ASSERT_TRUE(kept.save(path).ok());
  ASSERT_TRUE(again.load(path).ok());
  EXPECT_FALSE(other.load(path).ok());
  EXPECT_TRUE(at::equal(again.rows(1, 0, 3).log_probabilities, kept.rows(1, 0, 3).log_probabilities));
  EXPECT_TRUE(at::equal(again.rows(1, 0, 3).tokens, kept.rows(1, 0, 3).tokens));
  EXPECT_TRUE(at::equal(again.rows(0, 0, 3).log_rest, kept.rows(0, 0, 3).log_rest));
}

}  // namespace
}  // namespace edgellm
