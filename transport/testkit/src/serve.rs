//! `authepy serve` as an operator would set it up: a certificate, a config file, a store.

use serde_json::json;
use tempfile::TempDir;

use crate::DevServer;

/// The admin token of every such server.
pub const TOKEN: &str = "ath_admin_0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// A folder with a certificate and a config file.
pub struct Site {
    /// The folder, removed with the site.
    pub folder: TempDir,
}

impl Site {
    /// `more` goes to the end of the config file.
    pub fn new(store: &str, more: &str) -> Self {
        let site = Self { folder: TempDir::with_prefix("authepy-site-").unwrap() };
        let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(site.path("cert.pem"), certificate.cert.pem()).unwrap();
        std::fs::write(site.path("key.pem"), certificate.signing_key.serialize_pem()).unwrap();
        let config = format!(
            "listen = [\"127.0.0.1:0\"]\nadmin.listen = \"127.0.0.1:0\"\nadmin.token = \"{TOKEN}\"\n\
             store.url = \"{store}\"\ntls.cert = \"{}\"\ntls.key = \"{}\"\n{more}\n",
            site.path("cert.pem"),
            site.path("key.pem"),
        );
        std::fs::write(site.path("authepy.toml"), config).unwrap();
        site
    }

    /// A file in the folder.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A SQLite store in a folder of its own.
    pub fn sqlite(folder: &TempDir) -> String {
        format!("sqlite://{}", folder.path().join("authepy.db").display())
    }

    /// Mail into this site's folder.
    pub fn outbox(folder: &TempDir) -> String {
        format!(
            "[[delivery]]\nname = \"outbox\"\nkind = \"outbox\"\nurl = \"{}\"\nfrom = \"no-reply@mybrand.com\"",
            folder.path().join("outbox").display()
        )
    }

    /// Serves from it; the folder lives as long as the server.
    pub fn serve(self) -> Served {
        let server = DevServer::run(&["serve", "--json", "--config", &self.path("authepy.toml")]);
        self.served_by(server)
    }

    /// The same, with these variables in its environment.
    pub fn serve_with(self, variables: &[(&str, &str)]) -> Served {
        let arguments = ["serve", "--json", "--config", &self.path("authepy.toml")];
        let server = DevServer::run_with(variables, &arguments);
        self.served_by(server)
    }

    /// The same, as the child of a program that watches or confines it.
    pub fn serve_under(self, program: &str, how: &[&str]) -> Served {
        let arguments = ["serve", "--json", "--config", &self.path("authepy.toml")];
        let server = DevServer::run_under(program, how, &arguments);
        self.served_by(server)
    }

    fn served_by(self, mut server: DevServer) -> Served {
        server.ready["ca"] = json!(self.path("cert.pem"));
        server.ready["admin_token"] = json!(TOKEN);
        Served { server, site: self }
    }
}

impl Served {
    /// The next server from the same folder, whatever stands in its files now.
    pub fn serve_again(self) -> Self {
        let Self { server, site } = self;
        drop(server);
        site.serve()
    }
}

/// A server with its folder.
pub struct Served {
    server: DevServer,
    /// Its files.
    pub site: Site,
}

impl std::ops::Deref for Served {
    type Target = DevServer;

    fn deref(&self) -> &DevServer {
        &self.server
    }
}

impl std::ops::DerefMut for Served {
    fn deref_mut(&mut self) -> &mut DevServer {
        &mut self.server
    }
}
