#include "core/base/mapped_file.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace edgellm {

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  auto failed = [&](std::string_view what) {
    return Error{fmt::format("cannot open {}: {}", path.string(), what)};
  };
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed(std::strerror(errno));
  struct stat info;
  if (::fstat(fd, &info) != 0) {
    int code = errno;
    ::close(fd);
    return failed(std::strerror(code));
  }
  if (!S_ISREG(info.st_mode) || info.st_size == 0) {
    ::close(fd);
    return failed(S_ISREG(info.st_mode) ? "the file is empty" : "not a regular file");
  }
  void* data = ::mmap(nullptr, size_t(info.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
  int code = errno;
  ::close(fd);
  if (data == MAP_FAILED) return failed(std::strerror(code));
  MappedFile file;
  file.path_ = path;
  file.data_ = static_cast<const std::byte*>(data);
  file.n_bytes_ = size_t(info.st_size);
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept {
  *this = std::move(other);
}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(n_bytes_, other.n_bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), n_bytes_);
}

void MappedFile::will_need(std::span<const std::byte> range) const {
  auto page = size_t(::sysconf(_SC_PAGESIZE));
  size_t begin = size_t(range.data() - data_) / page * page;
  size_t end = size_t(range.data() - data_) + range.size();
  ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_WILLNEED);
}

void MappedFile::give_back(std::span<const std::byte> range) const {
  auto page = size_t(::sysconf(_SC_PAGESIZE));
  size_t begin = (size_t(range.data() - data_) + page - 1) / page * page;
  size_t end = size_t(range.data() - data_) + range.size();
  end = end == n_bytes_ ? end : end / page * page;
  if (begin < end) ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

void give_back_mapped(std::span<const std::byte> part) {
  const auto page = uintptr_t(::sysconf(_SC_PAGESIZE)), at = reinterpret_cast<uintptr_t>(part.data());
  const uintptr_t begin = (at + page - 1) / page * page, end = (at + part.size()) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace edgellm
