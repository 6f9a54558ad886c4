//! What Windlass keeps on the operator's disk is for its owner alone, from its first byte: directories with 0700, files with
//! 0600, whatever the umask says.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// The directory of a project that holds all that Windlass keeps there.
const OURS: &str = ".windlass";

/// Makes a directory, and those above it that are not there. One of ours that an earlier Windlass made for all to read is
/// closed; what a person made stays as it is.
///
/// # Errors
/// When it cannot be made.
pub fn directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let ours = path.ancestors().find(|above| above.file_name().is_some_and(|name| name == OURS));
    ours.map_or(Ok(()), close)
}

/// Closes what is ours and open to others.
fn close(path: &Path) -> io::Result<()> {
    let about = fs::symlink_metadata(path)?;
    let is_own = about.uid() == rustix::process::geteuid().as_raw();
    if about.is_dir() && is_own && about.mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(about.mode() & 0o7700))?;
    }
    Ok(())
}

/// How a file is opened that is ours alone when it is made by that.
#[must_use]
pub fn options() -> OpenOptions {
    let mut options = File::options();
    options.mode(0o600);
    options
}

/// Writes a file that a person asked for. One that is there, and is theirs, is closed to others before it is written.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = options().create(true).truncate(true).write(true).open(path)?;
    let about = file.metadata()?;
    if about.is_file() && about.mode() & 0o077 != 0 && about.uid() == rustix::process::geteuid().as_raw() {
        file.set_permissions(Permissions::from_mode(about.mode() & 0o700))?;
    }
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn what_an_earlier_windlass_left_open_is_closed() {
        let temp = tempfile::tempdir().unwrap();
        let (project, ours) = (temp.path().join("project"), temp.path().join("project/.windlass"));
        fs::create_dir_all(&ours).unwrap();
        [&project, &ours].iter().for_each(|path| fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap());
        directory(&ours.join("locks")).unwrap();
        assert_eq!((mode(&project), mode(&ours), mode(&ours.join("locks"))), (0o755, 0o700, 0o700));
    }

    #[test]
    fn a_file_that_is_there_is_closed_before_it_is_written() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("plan.json");
        fs::write(&path, "old and longer").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        write(&path, "new").unwrap();
        assert_eq!((mode(&path), fs::read_to_string(&path).unwrap().as_str()), (0o600, "new"));
        assert!(write(Path::new("/dev/null"), "x").is_ok());
    }
}
