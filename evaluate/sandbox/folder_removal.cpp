#include "evaluate/sandbox/folder_removal.h"

#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace edgellm {
namespace {

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;

Folder open_folder(int parent, const char* name) {
  const int file = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return Folder(file < 0 ? nullptr : fdopendir(file),
                [](DIR* folder) { return folder ? closedir(folder) : 0; });
}

std::vector<std::string> names_in(DIR* folder) {
  std::vector<std::string> names;
  rewinddir(folder);
  while (const dirent* entry = readdir(folder))
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
      names.push_back(entry->d_name);
  return names;
}

}  // namespace

bool remove_folder(const std::string& path) {
  const Folder top = open_folder(AT_FDCWD, path.c_str());
  if (!top) return false;
  const int at = dirfd(top.get());
  size_t n_moved = 0;
  bool went_on = true;
  for (std::vector<std::string> names = names_in(top.get()); went_on && !names.empty();
       names = names_in(top.get())) {
    went_on = false;
    for (const std::string& name : names) {
      if (unlinkat(at, name.c_str(), 0) == 0) {
        went_on = true;
        continue;
      }
      fchmodat(at, name.c_str(), 0700, 0);
      if (const Folder inner = open_folder(at, name.c_str())) {
        for (const std::string& below : names_in(inner.get())) {
          if (unlinkat(dirfd(inner.get()), below.c_str(), 0) == 0) continue;
          fchmodat(dirfd(inner.get()), below.c_str(), 0700, 0);
          std::string moved;
          do moved = "removed-" + std::to_string(n_moved++);
          while (faccessat(at, moved.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0);
          renameat(dirfd(inner.get()), below.c_str(), at, moved.c_str());
        }
      }
      went_on |= unlinkat(at, name.c_str(), AT_REMOVEDIR) == 0;
    }
  }
  return rmdir(path.c_str()) == 0;
}

}  // namespace edgellm
