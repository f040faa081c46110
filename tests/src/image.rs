//! A filesystem of its own in a sparse file: its power can be cut, it can be full, it can be read-only, and the bytes that reach its device are counted.

use anyhow::{Context, Result};
use cotside_simulators::process::output;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A sector in the kernel's counters, whatever the device's own.
const SECTOR_BYTES: f64 = 512.0;
/// Words 0 to 6 of a device's `stat` begin with reads; this one is sectors written.
const SECTORS_WRITTEN: usize = 6;
/// A process that was killed lets go of its files within this.
const UNMOUNT_TRIES: u32 = 100;
const UNMOUNT_EVERY: Duration = Duration::from_millis(50);
/// No call of the standard library's reaches ioctl(2), and a power cut that waits for a second program is none: one program cuts and kills.
const CUT: &str = "
import fcntl, os, struct, sys
FS_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
cut = sys.argv.index('--')
places = [os.open(place, os.O_RDONLY) for place in sys.argv[1:cut]]
for place in places:
    fcntl.ioctl(place, FS_IOC_SHUTDOWN, struct.pack('I', NO_LOG_FLUSH))
for process in sys.argv[cut + 1:]:
    os.kill(int(process), 9)
";

/// Mounted while it lives. The loop device lives as long as the mount.
pub struct Image {
    file: PathBuf,
    pub at: PathBuf,
}

impl Image {
    /// Tries it in `dir`; the error is why this machine cannot do it: rights, loop devices, tools.
    pub async fn is_possible(dir: &Path) -> Result<()> {
        let tried = async {
            let image = Self::make(dir, 16 << 20).await?;
            cut(&[&image], &[]).await?;
            image.remount("rw").await
        };
        let tried = tried.await;
        let _ = std::fs::remove_dir_all(dir);
        tried
    }

    /// An empty ext4 of `bytes`, mounted in a new folder `dir/disk`; the file lies beside it.
    pub async fn make(dir: &Path, bytes: u64) -> Result<Self> {
        let (file, at) = (dir.join("disk.image"), dir.join("disk"));
        std::fs::create_dir_all(&at)?;
        std::fs::File::create(&file)?.set_len(bytes)?;
        let path = file.to_string_lossy().into_owned();
        // Without reserved blocks, so that full is full for root as well; blocks of the size that a disk of any use has.
        run(
            "mkfs.ext4",
            &["-q", "-F", "-m", "0", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", &path],
        )
        .await?;
        let image = Self { file, at };
        image.mount("rw").await?;
        Ok(image)
    }

    async fn mount(&self, options: &str) -> Result<()> {
        let options = format!("loop,{options}");
        run("mount", &["-o", &options, &self.file.to_string_lossy(), &self.at.to_string_lossy()]).await?;
        Ok(())
    }

    /// Off and on again, with `rw` or `ro`.
    pub async fn remount(&self, options: &str) -> Result<()> {
        let mut tried = Ok(());
        for _ in 0..UNMOUNT_TRIES {
            tried = self.try_remount(options).await;
            if tried.is_ok() {
                break;
            }
            tokio::time::sleep(UNMOUNT_EVERY).await;
        }
        tried
    }

    async fn try_remount(&self, options: &str) -> Result<()> {
        // Not mounted is what a try leaves that failed behind it.
        if self.device().is_ok() {
            run("umount", &[&self.at.to_string_lossy()]).await?;
        }
        self.mount(options).await?;
        // Whoever copied the mount keeps the filesystem as it was: cut off.
        std::fs::File::open(&self.at)?.sync_all().context("the old filesystem is still in use")
    }

    /// Everything that was written to it reaches its device.
    pub async fn sync(&self) -> Result<()> {
        run("sync", &["--file-system", &self.at.to_string_lossy()]).await.map(|_| ())
    }

    /// Bytes that ever reached its device, the journal's too.
    pub fn written_bytes(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/sys/block/{}/stat", self.device()?))?;
        let sectors = stat.split_whitespace().nth(SECTORS_WRITTEN).context("a counter is missing")?;
        Ok(sectors.parse::<f64>()? * SECTOR_BYTES)
    }
}

impl Image {
    /// The loop device, by its name: what stands behind the dash of the mount's line is type and source.
    fn device(&self) -> Result<String> {
        let all = std::fs::read_to_string("/proc/self/mountinfo")?;
        let at = std::fs::canonicalize(&self.at)?;
        let is_ours =
            |line: &&str| line.split_whitespace().nth(4).is_some_and(|place| Path::new(place) == at);
        let line = all.lines().rfind(is_ours).context("it is not mounted")?;
        let source = line.split_once(" - ").and_then(|(_, rest)| rest.split_whitespace().nth(1));
        Ok(source
            .and_then(|source| source.rsplit('/').next())
            .context("a mount without a source")?
            .to_owned())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let is_done = |program: &str, arguments: &[&str]| {
            Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
        };
        let at = self.at.to_string_lossy().into_owned();
        let mut tries = 0;
        while !is_done("umount", &[&at]) && tries < UNMOUNT_TRIES {
            tries += 1;
            std::thread::sleep(UNMOUNT_EVERY);
        }
        if tries == UNMOUNT_TRIES {
            is_done("umount", &["--lazy", &at]);
        }
        let _ = std::fs::remove_file(&self.file);
    }
}

/// The power goes at this instant: nothing reaches these disks any more, and these processes are dead.
pub async fn cut(disks: &[&Image], processes: &[u32]) -> Result<()> {
    let places = disks.iter().map(|disk| disk.at.to_string_lossy().into_owned());
    let processes = processes.iter().map(ToString::to_string);
    let words = ["-c".to_owned(), CUT.to_owned()].into_iter().chain(places).chain(["--".to_owned()]);
    output(Path::new("python3"), words.chain(processes)).await?;
    Ok(())
}

async fn run(program: &str, arguments: &[&str]) -> Result<String> {
    output(Path::new(program), arguments).await
}
