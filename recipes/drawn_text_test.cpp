#include "recipes/drawn_text.h"

#include <fstream>
#include <gtest/gtest.h>

#include "core/base/output_file.h"
#include "runtime/decode/tiny_tokenizer.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

std::string draw(const std::filesystem::path& log) {
  auto decoder = Decoder::load(tiny::open({}), {.n_threads = 1, .n_batch = 128, .batch_invariant = true});
  EXPECT_TRUE(decoder.ok());
  auto text = draw_text(**decoder, tiny::ascii_tokenizer(), 1500, log, {});
  EXPECT_TRUE(text.ok()) << text.error().message;
  return *text;
}

TEST(DrawText, AResumedDrawingGivesTheSameText) {
  tiny::TemporaryFile whole, torn;
  std::filesystem::remove(whole.path());
  std::string text = draw(whole.path());
  EXPECT_GT(text.size(), 1000u);
  EXPECT_EQ(draw(whole.path()), text);

  std::string log = *read_text_file(whole.path());
  // The first line is gone, the last is torn: as after a kill while several draws were in work.
  size_t second = log.find('\n') + 1;
  ASSERT_TRUE(write_text_file(torn.path(), log.substr(second, log.size() - second - 10)).ok());
  EXPECT_EQ(draw(torn.path()), text);
  ASSERT_TRUE(write_text_file(torn.path(), "{\"prompt\": 3}\nno json\n").ok());
  EXPECT_EQ(draw(torn.path()), text);
}

TEST(DrawText, WhatIsDrawnAlreadyWantsNoWeights) {
  tiny::TemporaryFile log;
  std::filesystem::remove(log.path());
  const Tokenizer tokenizer = tiny::ascii_tokenizer();
  size_t n_asked = 0;
  DrawnText wanted = {12, 64, 8, log.path(), 1};
  wanted.weights = [&](Decoder&) {
    ++n_asked;
    return Status();
  };
  auto first = draw_calibration_text(tiny::open({}), tokenizer, wanted, {});
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_EQ(n_asked, 1u);
  auto again = draw_calibration_text(tiny::open({}), tokenizer, wanted, {});
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(n_asked, 1u);
  EXPECT_EQ(again->windows, first->windows);
  // The first draw is lost: all of it is drawn again, to the same text.
  std::string lines = *read_text_file(log.path());
  ASSERT_TRUE(write_text_file(log.path(), lines.substr(lines.find('\n') + 1)).ok());
  auto mended = draw_calibration_text(tiny::open({}), tokenizer, wanted, {});
  ASSERT_TRUE(mended.ok()) << mended.error().message;
  EXPECT_EQ(n_asked, 2u);
  EXPECT_EQ(mended->windows, first->windows);
}

}  // namespace
}  // namespace edgellm
