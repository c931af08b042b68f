#include <atomic>
#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <numeric>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/content_hash.h"
#include "core/base/float16.h"
#include "core/base/mapped_file.h"
#include "core/base/output_file.h"
#include "core/base/progress.h"
#include "core/base/thread_pool.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

fs::path scratch_folder(const char* name) {
  fs::path folder = fs::temp_directory_path() / ("edgellm_base_test_" + std::to_string(::getpid())) / name;
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

TEST(OutputFile, AppearsOnlyWhenCommitted) {
  fs::path folder = scratch_folder("output");
  {
    auto file = OutputFile::create(folder / "a");
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->write("lost").ok());
  }
  EXPECT_TRUE(fs::is_empty(folder));
  ASSERT_TRUE(write_text_file(folder / "a", "kept").ok());
  EXPECT_EQ(*read_text_file(folder / "a"), "kept");
}

TEST(OutputFile, WithoutCommitTheOldContentStays) {
  fs::path folder = scratch_folder("old");
  ASSERT_TRUE(write_text_file(folder / "a", "old").ok());
  { ASSERT_TRUE(OutputFile::create(folder / "a")->write("new").ok()); }
  EXPECT_EQ(*read_text_file(folder / "a"), "old");
}

TEST(OutputFile, WhatAKilledProcessLeftOfItGoesWithTheNext) {
  fs::path folder = scratch_folder("killed");
  const pid_t child = ::fork();
  if (child == 0) {
    auto file = OutputFile::create(folder / "a");
    ::_exit(file.ok() ? 0 : 1);  // without a destructor
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  const fs::path left = folder / ("a.partial-" + std::to_string(child));
  ASSERT_TRUE(fs::exists(left));
  const std::vector<std::string> others = {"a.partial-" + std::to_string(::getppid()), "a.partial-notes",
                                           "b.partial-" + std::to_string(child)};
  for (const std::string& name : others) std::ofstream(folder / name) << "kept";
  ASSERT_TRUE(write_text_file(folder / "a", "whole").ok());
  EXPECT_FALSE(fs::exists(left));
  for (const std::string& name : others) EXPECT_TRUE(fs::exists(folder / name)) << name;
}

TEST(OutputFile, FolderThatDoesNotExistIsAnError) {
  EXPECT_FALSE(OutputFile::create(scratch_folder("missing") / "nowhere" / "a").ok());
}

TEST(OutputFile, DeviceOrFolderIsNotReplaced) {
  fs::path folder = scratch_folder("device");
  fs::create_symlink("/dev/null", folder / "link");
  for (const fs::path& path : {fs::path("/dev/null"), folder / "link", folder}) {
    EXPECT_FALSE(write_text_file(path, "lost").ok()) << path;
  }
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(OutputFile, LinkStaysAndWhatItNamesIsReplaced) {
  fs::path folder = scratch_folder("link");
  ASSERT_TRUE(write_text_file(folder / "file", "old").ok());
  fs::create_symlink("file", folder / "link");
  ASSERT_TRUE(write_text_file(folder / "link", "new").ok());
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(*read_text_file(folder / "file"), "new");
}

TEST(OutputFile, InputIsKnownUnderEveryName) {
  fs::path folder = scratch_folder("input");
  ASSERT_TRUE(write_text_file(folder / "a", "input").ok());
  fs::create_symlink("a", folder / "soft");
  fs::create_hard_link(folder / "a", folder / "hard");
  std::vector<fs::path> inputs = {folder / "other", folder / "a"};
  for (const char* name : {"a", "soft", "hard"})
    EXPECT_FALSE(check_is_no_input(folder / name, inputs).ok()) << name;
  EXPECT_TRUE(check_is_no_input(folder / "new", inputs).ok());
  EXPECT_TRUE(check_is_no_input("", inputs).ok());
}

TEST(OutputFile, PadsAndPatches) {
  fs::path path = scratch_folder("pad") / "a";
  auto file = OutputFile::create(path);
  ASSERT_TRUE(file->write("abc").ok());
  ASSERT_TRUE(file->pad_to(8).ok());
  EXPECT_EQ(file->n_written(), 8u);
  ASSERT_TRUE(file->write_at(1, std::as_bytes(std::span("X", 1))).ok());
  ASSERT_TRUE(file->commit().ok());
  EXPECT_EQ(*read_text_file(path), std::string("aXc\0\0\0\0\0", 8));
}

TEST(MappedFile, EmptyMissingAndFolderAreErrors) {
  fs::path folder = scratch_folder("mapped");
  std::ofstream(folder / "empty").close();
  EXPECT_NE(MappedFile::open(folder / "empty").error().message.find("empty"), std::string::npos);
  EXPECT_FALSE(MappedFile::open(folder / "none").ok());
  EXPECT_FALSE(MappedFile::open(folder).ok());
}

TEST(MappedFile, GivenBackPagesReadTheSame) {
  fs::path path = scratch_folder("back") / "a";
  ASSERT_TRUE(write_text_file(path, std::string(100000, 'x')).ok());
  auto file = MappedFile::open(path);
  file->give_back(file->bytes());
  for (std::byte b : file->bytes()) ASSERT_EQ(char(b), 'x');
}

TEST(ContentHash, FileAndBytesAgree) {
  fs::path path = scratch_folder("hash") / "a";
  ASSERT_TRUE(write_text_file(path, "some text").ok());
  EXPECT_EQ(*hash_file(path), hash_text("some text"));
  EXPECT_NE(hash_text("some text"), hash_text("some texts"));
}

TEST(ThreadPool, EveryIndexExactlyOnceOnManyRounds) {
  for (size_t n_threads : {1, 2, 5}) {
    ThreadPool pool(n_threads);
    std::vector<std::atomic<int>> seen(1003);
    for (int round = 0; round < 200; ++round)
      pool.parallel_for(seen.size(), 7, [&](size_t begin, size_t end, size_t) {
        for (size_t i = begin; i < end; ++i) ++seen[i];
      });
    for (auto& n : seen) ASSERT_EQ(n.load(), 200);
  }
}

TEST(Float16, EveryHalfSurvivesTheRoundTrip) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    float value = float_from_half(uint16_t(h));
    if (std::isnan(value)) continue;
    ASSERT_EQ(half_from_float(value), h);
  }
}

TEST(Float16, RoundsToNearestEvenAndOverflowsToInfinity) {
  EXPECT_EQ(half_from_float(1.0f + 0x1p-11f), 0x3c00);
  EXPECT_EQ(half_from_float(1.0f + 3 * 0x1p-11f), 0x3c02);
  EXPECT_EQ(half_from_float(65520.0f), 0x7c00);
  EXPECT_EQ(half_from_float(0x1p-25f), 0);
  EXPECT_EQ(half_from_float(-0x1.8p-25f), 0x8001);
  EXPECT_EQ(bfloat16_from_float(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(bfloat16_from_float(1.0f + 3 * 0x1p-8f), 0x3f82);
}

TEST(ProgressMeter, EndsAtOneAndCountsResumedItems) {
  std::vector<ProgressReport> reports;
  Progress progress = [&](const ProgressReport& r) { reports.push_back(r); };
  ProgressMeter meter(progress, "stage", 10, 5);
  EXPECT_DOUBLE_EQ(reports.front().fraction, 0.5);
  meter.add(5);
  meter.finish();
  EXPECT_DOUBLE_EQ(reports.back().fraction, 1.0);
}

}  // namespace
}  // namespace edgellm
